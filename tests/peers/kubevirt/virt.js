// SPDX-License-Identifier: MIT
// Stands in for KubeVirt (virt-controller, virt-handler, virt-api), for the garbage collector and for
// metrics-server, at whatever API server it is given: it watches objects as they do, and moves them on
// by patches. No guest runs.
'use strict';
const https = require('https');

class Client {
	constructor({ base, token, ca, cert, key }) {
		this.options = { headers: token ? { authorization: `Bearer ${token}` } : {}, ca, cert, key };
		this.base = base;
		this.agent = new https.Agent({ keepAlive: true, maxSockets: 8 });
	}

	send(method, path, body, type = 'application/json', agent = this.agent) {
		return new Promise((resolve, reject) => {
			const request = https.request(`${this.base}${path}`, { ...this.options, method, agent,
				headers: { ...this.options.headers, ...(body ? { 'content-type': type } : {}) } }, resolve);
			request.on('error', reject);
			request.end(body ? JSON.stringify(body) : undefined);
		});
	}

	// The object, or null: there is none, or it has changed meanwhile.
	async call(method, path, body, type) {
		const response = await this.send(method, path, body, type);
		let text = '';
		for await (const chunk of response) {
			text += chunk;
		}
		if (response.statusCode >= 300 && ![404, 409].includes(response.statusCode)) {
			const error = new Error(`virt: ${method} ${path}: ${response.statusCode} ${text}`);
			error.away = response.statusCode >= 500 || [401, 403, 429].includes(response.statusCode);
			throw error;
		}
		return response.statusCode < 300 ? (text ? JSON.parse(text) : {}) : null;
	}

	merge(path, patch) {
		return this.call('PATCH', path, patch, 'application/merge-patch+json');
	}
}

// without the times of the real ones, which the npm types have lost
const condition = (type, status, reason, message) => ({ type, status, reason, message });
function now() {
	return `${new Date().toISOString().slice(0, 19)}Z`;
}
const later = (ms) => new Promise((resolve) => { setTimeout(resolve, ms).unref(); });

// The server is away, or is just coming back: again later.
const isAway = (error) => error.away || ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code)
	|| /aborted|hang up/.test(error.message);

const virtFinalizer = 'kubevirt.io/virtualMachineControllerFinalize';
const vmiFinalizer = 'foregroundDeleteVirtualMachine';

class Virt {
	constructor(client, settings, namespaces) {
		Object.assign(this, { client, settings, namespaces });
		this.nodes = ['node1', 'node2', 'node3'];
		this.cache = new Map(); // path of an object -> it
		this.busy = new Set(); // paths of objects that something is done with
		this.addresses = 0;
		this.stopping = false;
	}

	static path(plural, namespace, name) {
		const group = /snapshot|restore/.test(plural) ? 'snapshot.kubevirt.io/v1beta1' : 'kubevirt.io/v1';
		return `/apis/${group}/namespaces/${namespace}/${plural}${name ? `/${name}` : ''}`;
	}

	start() {
		for (const namespace of this.namespaces) {
			for (const plural of ['virtualmachines', 'virtualmachineinstances', 'virtualmachineinstancemigrations',
				'virtualmachinesnapshots', 'virtualmachinerestores']) {
				this.follow(plural, namespace);
			}
		}
	}

	async follow(plural, namespace) {
		const path = Virt.path(plural, namespace);
		while (!this.stopping) {
			try {
				const list = await this.client.call('GET', path);
				if (list) { // else the server does not serve this resource yet, or not for a moment
					list.items.forEach((one) => this.take(plural, 'ADDED', one));
					await this.stream(plural, `${path}?watch=true&allowWatchBookmarks=true&resourceVersion=`
						+ `${list.metadata.resourceVersion}`);
				}
			} catch (error) {
				if (!isAway(error)) {
					throw error;
				}
			}
			await later(100);
		}
	}

	async stream(plural, path) {
		const response = await this.client.send('GET', path, null, null, new https.Agent());
		let rest = '';
		for await (const chunk of response) {
			const lines = (rest + chunk).split('\n');
			rest = lines.pop();
			for (const line of lines.filter(Boolean)) {
				const { type, object } = JSON.parse(line);
				if (type === 'ERROR') {
					return;
				}
				if (type !== 'BOOKMARK') {
					this.take(plural, type, object);
				}
			}
		}
	}

	take(plural, type, object) {
		const { namespace, name } = object.metadata;
		const path = Virt.path(plural, namespace, name);
		const before = this.cache.get(path);
		if (type === 'DELETED') {
			this.cache.delete(path);
			this.collect(object);
		} else {
			this.cache.set(path, object);
		}
		if (plural === 'virtualmachineinstancemigrations' && type === 'DELETED') {
			return;
		}
		this.consider(plural, namespace, name);
		if (plural === 'virtualmachineinstances' || (plural === 'virtualmachines' && !before)) {
			this.consider('virtualmachines', namespace, name);
		}
	}

	// One thing at a time is done with an object; what happens meanwhile is looked at afterwards.
	async consider(plural, namespace, name) {
		const path = Virt.path(plural, namespace, name);
		if (this.busy.has(path)) {
			this.again ||= new Set();
			this.again.add(path);
			return;
		}
		this.busy.add(path);
		try {
			const object = this.cache.get(path);
			if (object) {
				await this[plural](path, object, namespace, name);
			}
		} catch (error) {
			if (!isAway(error)) {
				throw error;
			}
			await later(200);
			this.again ||= new Set();
			this.again.add(path);
		} finally {
			this.busy.delete(path);
		}
		if (this.again?.delete(path)) {
			this.consider(plural, namespace, name);
		}
	}

	// Garbage: what belonged to an object that is gone.
	collect(owner) {
		for (const [path, object] of this.cache) {
			if (object.metadata.ownerReferences?.some((one) => one.uid === owner.metadata.uid)) {
				this.client.call('DELETE', path).catch(() => {});
			}
		}
	}

	status(path, status) {
		return this.client.merge(`${path}/status`, { status });
	}

	// --- VirtualMachine

	async virtualmachines(path, cached, namespace, name) {
		const vm = await this.client.call('GET', path); // not as it was before the last step
		if (!vm) {
			return;
		}
		const vmiPath = Virt.path('virtualmachineinstances', namespace, name);
		const vmi = await this.client.call('GET', vmiPath);
		const { metadata, spec } = vm;
		if (metadata.deletionTimestamp) {
			if (vmi && !vmi.metadata.deletionTimestamp) {
				await this.client.call('DELETE', vmiPath);
			} else if (!vmi) {
				await this.client.merge(path, { metadata: { finalizers: null } });
			}
			return;
		}
		if (!metadata.finalizers) {
			await this.client.merge(path, { metadata: { finalizers: [virtFinalizer] } });
		}
		if (spec.dataVolumeTemplates && !vm.status?.printableStatus) {
			await this.provision(path, vm);
			return; // what it has become is considered next
		}
		if (spec.runStrategy === 'Halted' && vmi && !vmi.metadata.deletionTimestamp) {
			await this.client.call('DELETE', vmiPath);
		} else if (spec.runStrategy === 'Always' && vmi && ['Succeeded', 'Failed'].includes(vmi.status?.phase)) {
			await this.client.call('DELETE', vmiPath);
		} else if (['Always', 'Once', 'RerunOnFailure'].includes(spec.runStrategy) && !vmi) {
			await this.instantiate(vm, namespace, name);
		}
		await this.showStatus(path, vm, vmi);
	}

	async provision(path, vm) {
		const source = JSON.stringify(vm.spec.dataVolumeTemplates[0].spec);
		await this.status(path, { printableStatus: 'Provisioning' });
		await later(this.settings.cloneMs);
		if (/missing/.test(source)) {
			await this.status(path, { printableStatus: 'DataVolumeError', conditions: [condition('Ready', 'False',
				'DataVolumeError', 'the source of the DataVolume does not exist')] });
			return;
		}
		await this.status(path, { printableStatus: 'Stopped' });
	}

	async instantiate(vm, namespace, name) {
		const { template } = vm.spec;
		await this.client.call('POST', Virt.path('virtualmachineinstances', namespace), {
			apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance',
			metadata: { name, labels: { ...template.metadata?.labels }, finalizers: [vmiFinalizer],
				ownerReferences: [{ apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name, uid: vm.metadata.uid,
					controller: true, blockOwnerDeletion: true }] },
			spec: template.spec });
	}

	async showStatus(path, vm, vmi) {
		let printable = 'Stopped';
		const phase = vmi?.status?.phase;
		if (vm.status?.printableStatus === 'DataVolumeError') {
			return;
		}
		if (vmi?.metadata.deletionTimestamp) {
			printable = 'Stopping';
		} else if (phase === 'Running') {
			printable = vmi.status.conditions?.some((one) => one.type === 'Paused') ? 'Paused' : 'Running';
		} else if (vmi && vmi.status?.conditions?.some((one) => one.reason === 'Unschedulable')) {
			printable = 'ErrorUnschedulable';
		} else if (vmi && /broken/.test(JSON.stringify(vmi.spec.volumes))) {
			printable = 'ErrImagePull';
		} else if (vmi && !['Succeeded', 'Failed'].includes(phase)) {
			printable = 'Starting';
		}
		if (vm.status?.printableStatus !== printable) {
			await this.status(path, { printableStatus: printable, created: !!vmi, ready: printable === 'Running' });
		}
	}

	// --- VirtualMachineInstance

	load(node) {
		return [...this.cache.values()].filter((one) => one.kind === 'VirtualMachineInstance'
			&& one.status?.nodeName === node && !['Succeeded', 'Failed'].includes(one.status.phase)).length
			+ (this.reserved?.get(node) || 0);
	}

	// Fills one node after the other, unless the VM is to be spread among those that have its label.
	choose(vmi, selector, except) {
		const wanted = selector?.['kubernetes.io/hostname'];
		const nodes = this.nodes.filter((node) => (!wanted || node === wanted) && node !== except
			&& this.load(node) < this.settings.perNode);
		const spread = vmi.spec.topologySpreadConstraints?.some((one) => one.topologyKey === 'kubernetes.io/hostname'
			&& Object.entries(one.labelSelector.matchLabels).every(([key, value]) => vmi.metadata.labels?.[key] === value));
		return spread ? nodes.sort((a, b) => this.load(a) - this.load(b))[0] : nodes[0];
	}

	async virtualmachineinstances(path, vmi, namespace, name) {
		const phase = vmi.status?.phase;
		if (vmi.metadata.deletionTimestamp) {
			await this.shutDown(path, vmi);
		} else if (!phase) {
			await this.status(path, { phase: 'Pending', memory: { guestCurrent: vmi.spec.domain.memory.guest } });
		} else if (phase === 'Pending') {
			await this.schedule(path, vmi);
		} else if (phase === 'Scheduled') {
			await this.boot(path, vmi);
		} else if (phase === 'Running') {
			this.answer(path, vmi, namespace, name);
		}
	}

	async schedule(path, vmi) {
		await later(this.settings.scheduleMs);
		const node = this.choose(vmi, vmi.spec.nodeSelector);
		if (/broken/.test(JSON.stringify(vmi.spec.volumes))) {
			return;
		}
		if (!node) {
			await this.status(path, { conditions: [condition('PodScheduled', 'False', 'Unschedulable',
				`0/${this.nodes.length} nodes are available: ${this.nodes.length} Insufficient memory.`)] });
			later(1000).then(() => this.consider('virtualmachineinstances', vmi.metadata.namespace, vmi.metadata.name));
			return;
		}
		this.reserved ||= new Map();
		this.reserved.set(node, (this.reserved.get(node) || 0) + 1);
		await this.status(path, { phase: 'Scheduled', nodeName: node, conditions: [] });
		this.reserved.set(node, this.reserved.get(node) - 1);
	}

	// 0: the object is to be deleted
	async lives(path, ms) {
		const end = Date.now() + ms;
		while (Date.now() < end && !this.cache.get(path)?.metadata.deletionTimestamp) {
			await later(Math.min(20, ms));
		}
		return this.cache.has(path) && !this.cache.get(path).metadata.deletionTimestamp;
	}

	async boot(path) {
		if (!await this.lives(path, this.settings.startMs)) {
			return;
		}
		const address = this.settings.address || `10.244.${this.addresses >> 8}.${this.addresses++ & 255}`;
		await this.status(path, { phase: 'Running', conditions: [condition('Ready', 'True'),
			condition('LiveMigratable', this.settings.migratable ? 'True' : 'False', 'DisksNotLiveMigratable',
				this.settings.migratable ? undefined : 'cannot migrate VMI: PVC root is not shared')],
		interfaces: [{ name: 'default', interfaceName: 'eth0', ipAddress: address, ipAddresses: [address],
			mac: '02:00:00:00:00:01', infoSource: 'domain, guest-agent' }],
		phaseTransitionTimestamps: [{ phase: 'Running', phaseTransitionTimestamp: now() }] });
	}

	// The guest's agent speaks some time after the start.
	answer(path, vmi, namespace, name) {
		if (!this.settings.agentMs || vmi.status.conditions?.some((one) => one.type === 'AgentConnected')) {
			return;
		}
		later(this.settings.agentMs).then(async () => {
			const current = this.cache.get(path);
			if (current?.status?.phase === 'Running' && current.metadata.uid === vmi.metadata.uid) {
				await this.setCondition(namespace, name, 'AgentConnected', 'True');
			}
		}).catch(() => {});
	}

	async setCondition(namespace, name, type, status) {
		const path = Virt.path('virtualmachineinstances', namespace, name);
		for (let tries = 0; tries < 5; tries++) {
			const vmi = await this.client.call('GET', path);
			if (!vmi) {
				return false;
			}
			const others = (vmi.status.conditions || []).filter((one) => one.type !== type);
			vmi.status.conditions = status ? [...others, condition(type, status)] : others;
			if (await this.client.call('PUT', `${path}/status`, vmi)) {
				return true;
			}
		}
		return false;
	}

	async shutDown(path, vmi) {
		const graceMs = (vmi.spec.terminationGracePeriodSeconds ?? 30) * 1000;
		const needed = this.settings.deaf ? Infinity : this.settings.shutdownMs;
		const began = Date.now();
		if (!['Succeeded', 'Failed'].includes(vmi.status?.phase)) {
			let grace = graceMs;
			while (Date.now() - began < Math.min(grace, needed)) { // the grace may be shortened meanwhile
				await later(Math.min(20, needed));
				const current = this.cache.get(path);
				grace = (current?.spec.terminationGracePeriodSeconds ?? 30) * 1000;
			}
			await this.status(path, { phase: 'Succeeded' });
		}
		await this.client.merge(path, { metadata: { finalizers: null } });
	}

	// --- migrations, snapshots, restores

	async virtualmachineinstancemigrations(path, migration, namespace) {
		if (migration.status?.phase) {
			return;
		}
		const vmiPath = Virt.path('virtualmachineinstances', namespace, migration.spec.vmiName);
		const vmi = await this.client.call('GET', vmiPath);
		const target = vmi && this.choose(vmi, migration.spec.addedNodeSelector, vmi.status?.nodeName);
		const state = { startTimestamp: now(), sourceNode: vmi?.status?.nodeName, targetNode: target,
			migrationUid: migration.metadata.uid, mode: 'PreCopy' };
		await this.status(path, { phase: 'Pending' });
		if (!vmi || vmi.status?.phase !== 'Running' || !target || this.settings.migrationFails) {
			await this.status(path, { phase: 'Failed', migrationState: { ...state, sourceNode: state.sourceNode || '',
				targetNode: target || '', failed: true, failureReason: target ? 'the target pod disappeared'
					: 'no node is suitable' } });
			return;
		}
		await this.status(path, { phase: 'Running', migrationState: state });
		await later(this.settings.migrateMs);
		if (!this.cache.has(path)) {
			return; // it was aborted
		}
		await this.status(vmiPath, { nodeName: target });
		await this.status(path, { phase: 'Succeeded', migrationState: { ...state, endTimestamp: now(), completed: true } });
	}

	async virtualmachinesnapshots(path, snapshot, namespace) {
		if (snapshot.status?.phase) {
			return;
		}
		const vm = await this.client.call('GET', Virt.path('virtualmachines', namespace, snapshot.spec.source.name));
		await this.status(path, { phase: 'InProgress', readyToUse: false, sourceUID: vm?.metadata.uid });
		await later(this.settings.snapshotMs);
		if (!vm || this.settings.snapshotFails) {
			await this.status(path, { phase: 'Failed', error: { message: 'the volume is not of a class that can snapshot',
				time: now() } });
		} else {
			await this.status(path, { phase: 'Succeeded', readyToUse: true, creationTime: now() });
		}
	}

	async virtualmachinerestores(path, restore, namespace) {
		const { target, virtualMachineSnapshotName: name } = restore.spec;
		if (restore.status?.complete) {
			return;
		}
		const vmPath = Virt.path('virtualmachines', namespace, target.name);
		if (await this.client.call('GET', Virt.path('virtualmachineinstances', namespace, target.name))) {
			await this.status(path, { complete: false, conditions: [condition('Ready', 'False', 'x',
				'Waiting for target VM to be powered off')] });
			later(100).then(() => this.consider('virtualmachinerestores', namespace, restore.metadata.name));
			return;
		}
		if (!await this.client.call('GET', Virt.path('virtualmachinesnapshots', namespace, name))) {
			throw new Error('virt: a restore of a snapshot that is not there');
		}
		await later(this.settings.snapshotMs);
		await this.client.merge(vmPath, { spec: { runStrategy: 'Halted' } });
		await this.status(path, { complete: true, restoreTime: now() });
	}

	// --- virt-api: what is served under subresources.kubevirt.io; {code, body}

	static discovery(settings) {
		const names = ['virtualmachines/start', 'virtualmachines/stop', 'virtualmachines/restart',
			'virtualmachineinstances/pause', 'virtualmachineinstances/unpause', 'virtualmachineinstances/softreboot',
			'virtualmachineinstances/guestosinfo', ...(settings.noReset ? [] : ['virtualmachineinstances/reset'])];
		return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'subresources.kubevirt.io/v1',
			resources: names.map((name) => ({ name, singularName: '', namespaced: true, kind: '', verbs: ['get'] })) };
	}

	refuse(code, reason, name, message) {
		return { code, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason,
			details: { name, group: 'kubevirt.io', kind: 'virtualmachineinstance' }, code } };
	}

	async subresource(method, pathname, text) {
		if (pathname === '/apis/subresources.kubevirt.io/v1') {
			return { code: 200, body: Virt.discovery(this.settings) };
		}
		if (pathname === '/apis/subresources.kubevirt.io/v1/version') {
			return { code: 200, body: { gitVersion: 'v1.4.0', gitCommit: 'peer', gitTreeState: 'clean' } };
		}
		const found = pathname.match(/^\/apis\/subresources\.kubevirt\.io\/v1\/namespaces\/([^/]+)\/(\w+)\/([^/]+)\/(\w+)$/);
		if (!found || method !== 'PUT') {
			return { code: 404, body: '404: Page Not Found' };
		}
		const [, namespace, plural, name, verb] = found;
		const key = `${plural}/${verb}`;
		const body = text ? JSON.parse(text) : {};
		if (key === 'virtualmachines/stop') {
			return this.stopVm(namespace, name, body);
		}
		const path = Virt.path('virtualmachineinstances', namespace, name);
		const vmi = await this.client.call('GET', path);
		if (!vmi) {
			return this.refuse(404, 'NotFound', name, `virtualmachineinstance.kubevirt.io "${name}" not found`);
		}
		const conflict = (why) => this.refuse(409, 'Conflict', name,
			`Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "${name}": ${why}`);
		const paused = vmi.status?.conditions?.some((one) => one.type === 'Paused');
		if (vmi.status?.phase !== 'Running') {
			return conflict('VM is not running');
		}
		if (key === 'virtualmachineinstances/pause' && !paused) {
			await this.setCondition(namespace, name, 'Paused', 'True');
		} else if (key === 'virtualmachineinstances/unpause' && paused) {
			await this.setCondition(namespace, name, 'Paused', null);
		} else if (key === 'virtualmachineinstances/reset' && !this.settings.noReset) {
			await this.setCondition(namespace, name, 'AgentConnected', null);
		} else if (/pause/.test(key)) {
			return conflict(paused ? 'VMI is already paused' : 'VMI is not paused');
		} else {
			return { code: 404, body: '404: Page Not Found' };
		}
		return { code: 202, body: '' };
	}

	async stopVm(namespace, name, body) {
		const path = Virt.path('virtualmachines', namespace, name);
		const vmiPath = Virt.path('virtualmachineinstances', namespace, name);
		const [vm, vmi] = [await this.client.call('GET', path), await this.client.call('GET', vmiPath)];
		if (Object.keys(body).some((one) => !['gracePeriod', 'dryRun', 'kind', 'apiVersion'].includes(one))) {
			return this.refuse(400, 'BadRequest', name, `json: unknown field in ${JSON.stringify(body)}`);
		}
		if (!vm) {
			return this.refuse(404, 'NotFound', name, `virtualmachine.kubevirt.io "${name}" not found`);
		}
		const final = ['Succeeded', 'Failed'].includes(vmi?.status?.phase);
		const old = vmi?.spec.terminationGracePeriodSeconds ?? 30;
		if (vmi && !final && body.gracePeriod !== undefined) {
			await this.client.merge(vmiPath, { spec: { terminationGracePeriodSeconds: body.gracePeriod } });
		}
		const conflict = (why) => this.refuse(409, 'Conflict', name,
			`Operation cannot be fulfilled on virtualmachine.kubevirt.io "${name}": ${why}`);
		if (vm.spec.runStrategy === 'Halted') {
			if (!vmi || final) {
				return conflict('VM is not running');
			}
			if (body.gracePeriod === undefined || body.gracePeriod >= old) {
				return conflict('Halted only supports manual stop requests with a shorter graceperiod');
			}
		} else {
			await this.client.merge(path, { spec: { runStrategy: 'Halted' } });
		}
		return { code: 202, body: '' };
	}

	// metrics.k8s.io
	metrics(namespace, query) {
		const name = (query.get('labelSelector') || '').match(/^vm\.kubevirt\.io\/name=([\w-]+)$/)?.[1];
		const vmi = this.cache.get(Virt.path('virtualmachineinstances', namespace, name));
		const items = vmi?.status?.phase === 'Running' ? [{ metadata: { name: `virt-launcher-${name}-x`, namespace },
			timestamp: now(), window: '15s', containers: [
				{ name: 'compute', usage: { cpu: '12345678n', memory: '181Mi' } },
				{ name: 'guest-console-log', usage: { cpu: '0', memory: '5300Ki' } }] }] : [];
		return { kind: 'PodMetricsList', apiVersion: 'metrics.k8s.io/v1beta1', metadata: {}, items };
	}
}

const settings = { scheduleMs: 15, startMs: 25, agentMs: 0, shutdownMs: 30, deaf: false, cloneMs: 40, snapshotMs: 30,
	migrateMs: 60, perNode: 200, migratable: true, migrationFails: false, snapshotFails: false, noReset: false, address: '' };

module.exports = { Client, Virt, isAway, settings };
