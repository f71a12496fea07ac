// SPDX-License-Identifier: MIT
// The model behind the peer: a pool, its hosts, templates, VMs, disks, tasks that take time, and the
// database whose changes `event.from` gives out. Names of errors are xapi's.
'use strict';
const { randomUUID } = require('crypto');

const NULL = 'OpaqueRef:NULL';
const GATHER_MS = 50; // xapi waits so long for more before it answers

class XapiError extends Error {
	constructor(code, ...data) {
		super(code);
		this.code = code;
		this.data = data.map(String);
	}
}

function stamp(ms = Date.now()) {
	return new Date(ms).toISOString().replace(/[-]|\.\d+/g, '');
}

class Pool {
	constructor(name, addresses, settings) {
		this.settings = settings; // taskMs, toolsMs, address
		this.name = name;
		this.tables = new Map(); // class → Map(ref → record)
		this.changes = new Map(); // ref → {cls, created, modified, deleted}
		this.generation = 1;
		this.waiters = new Set();
		this.hidden = new Map(); // ref → what no record shows
		this.receiving = new Map(); // sessions of migrations that come
		this.build(addresses);
	}

	build(addresses) {
		const network = this.add('network', { name_label: 'Pool-wide network associated with eth0', name_description: '',
			MTU: '1500', other_config: {}, tags: [], PIFs: [], VIFs: [], bridge: 'xenbr0' });
		this.hosts = addresses.map((address, i) => this.add('host', { name_label: `${this.name}-host${i + 1}`,
			name_description: '', address, hostname: `${this.name}-host${i + 1}`, enabled: true, resident_VMs: [],
			software_version: { product_brand: 'XCP-ng', product_version: '8.3.0', xapi: '1.20' }, PIFs: [], other_config: {} }));
		for (const host of this.hosts) {
			this.add('PIF', { device: 'eth0', network, host, management: true, IP: this.get('host', host).address,
				MAC: '02:00:00:00:00:01', other_config: {} });
		}
		this.network = network;
		this.sr = this.add('SR', { name_label: 'Shared storage', name_description: '', type: 'nfs', shared: true,
			physical_size: '1000000000000', physical_utilisation: '0', VDIs: [], PBDs: [], other_config: {} });
		this.local = this.add('SR', { name_label: 'Local storage', name_description: '', type: 'ext', shared: false,
			physical_size: '1000000000000', physical_utilisation: '0', VDIs: [], PBDs: [], other_config: {} });
		this.hide(this.local).host = this.hosts[0];
		this.pool = this.add('pool', { name_label: this.name, name_description: '', master: this.hosts[0], default_SR: this.sr,
			other_config: {}, tags: [] });
		this.addTemplate('Other install media', { is_default_template: true });
		const debian = this.addTemplate('debian12', {});
		this.attach(debian, this.addDisk('debian12 root', this.sr, 4294967296));
		this.addCard(debian, network);
	}

	// --- the database ---

	table(cls) {
		if (!this.tables.has(cls)) {
			this.tables.set(cls, new Map());
		}
		return this.tables.get(cls);
	}

	hide(ref) {
		if (!this.hidden.has(ref)) {
			this.hidden.set(ref, {});
		}
		return this.hidden.get(ref);
	}

	add(cls, record) {
		const ref = `OpaqueRef:${randomUUID()}`;
		this.table(cls).set(ref, { uuid: randomUUID(), ...record });
		this.changes.set(ref, { cls, created: ++this.generation, modified: this.generation });
		this.wake();
		return ref;
	}

	get(cls, ref) {
		const record = this.table(cls).get(ref);
		if (!record) {
			throw new XapiError('HANDLE_INVALID', cls, ref);
		}
		return record;
	}

	touch(ref, changes = {}) {
		const change = this.changes.get(ref);
		Object.assign(this.get(change.cls, ref), changes);
		change.modified = ++this.generation;
		this.wake();
	}

	remove(ref) {
		const change = this.changes.get(ref);
		if (!this.table(change.cls).delete(ref)) {
			return;
		}
		change.deleted = ++this.generation;
		this.wake();
	}

	wake() {
		for (const waiter of this.waiters) {
			waiter();
		}
	}

	find(cls, name, value) {
		return [...this.table(cls)].filter(([, record]) => record[name] === value).map(([ref]) => ref);
	}

	// --- events ---

	collect(classes, since) {
		const events = [];
		const matches = (cls, ref) => classes.some((one) => one === '*' || one.toLowerCase() === cls.toLowerCase()
			|| one.toLowerCase() === `${cls}/${ref}`.toLowerCase());
		for (const [ref, { cls, created, modified, deleted }] of this.changes) {
			if (Math.max(modified, deleted || 0) <= since || !matches(cls, ref)) {
				continue;
			}
			if (deleted) {
				if (created <= since) {
					events.push({ id: String(deleted), timestamp: '0.0', class: cls.toLowerCase(), operation: 'del', ref });
				}
				continue;
			}
			events.push({ id: String(modified), timestamp: '0.0', class: cls.toLowerCase(),
				operation: created > since ? 'add' : 'mod', ref, snapshot: structuredClone(this.get(cls, ref)) });
		}
		return events;
	}

	async events(classes, token, timeout) {
		const [, number] = token.match(/^(?:(\d+),0)?$/) || [];
		if (token !== '' && number === undefined) {
			throw new XapiError('EVENT_FROM_TOKEN_PARSE_FAILURE', token);
		}
		const since = Number(number || 0);
		const until = Date.now() + timeout * 1000;
		let events = this.collect(classes, since);
		while (!events.length && Date.now() < until) {
			await new Promise((resolve) => {
				const done = () => {
					clearTimeout(timer);
					this.waiters.delete(done);
					resolve();
				};
				const timer = setTimeout(done, until - Date.now());
				this.waiters.add(done);
			});
			await new Promise((resolve) => { setTimeout(resolve, GATHER_MS); });
			events = this.collect(classes, since);
		}
		const counts = {};
		for (const [cls, table] of this.tables) {
			counts[cls.toLowerCase()] = table.size;
		}
		return { events, valid_ref_counts: counts, token: `${this.generation},0` };
	}

	// --- objects ---

	addVm(fields) {
		return this.add('VM', { name_label: '', name_description: '', power_state: 'Halted', is_a_template: false,
			is_default_template: false, is_a_snapshot: false, is_control_domain: false, snapshot_of: NULL, snapshots: [],
			resident_on: NULL, affinity: NULL, VBDs: [], VIFs: [], suspend_VDI: NULL, guest_metrics: NULL, metrics: NULL,
			VCPUs_max: '1', VCPUs_at_startup: '1', VCPUs_params: {}, memory_static_min: '134217728', memory_static_max: '536870912',
			memory_dynamic_min: '536870912', memory_dynamic_max: '536870912', HVM_boot_policy: 'BIOS order',
			HVM_boot_params: { order: 'dc' }, platform: {}, other_config: {}, tags: [], current_operations: {},
			allowed_operations: [], domid: '-1', ...fields });
	}

	addTemplate(name, fields) {
		return this.addVm({ name_label: name, is_a_template: true, ...fields });
	}

	addDisk(name, sr, size, fields = {}) {
		const ref = this.add('VDI', { name_label: name, name_description: '', SR: sr, virtual_size: String(size),
			physical_utilisation: '0', type: 'user', sharable: false, read_only: false, is_a_snapshot: false,
			snapshot_of: NULL, VBDs: [], other_config: {}, ...fields });
		this.get('SR', sr).VDIs.push(ref);
		return ref;
	}

	attach(vm, disk, fields = {}) {
		const ref = this.add('VBD', { VM: vm, VDI: disk, userdevice: String(this.get('VM', vm).VBDs.length), bootable: true,
			mode: 'RW', type: 'Disk', empty: disk === NULL, currently_attached: false, other_config: {}, ...fields });
		this.get('VM', vm).VBDs.push(ref);
		this.touch(vm);
		if (disk !== NULL) {
			this.get('VDI', disk).VBDs.push(ref);
		}
		return ref;
	}

	addCard(vm, network) {
		const ref = this.add('VIF', { VM: vm, network, device: String(this.get('VM', vm).VIFs.length), MAC: '', MTU: '1500',
			currently_attached: false, other_config: {} });
		this.get('VM', vm).VIFs.push(ref);
		this.touch(vm);
		return ref;
	}

	destroyDisk(ref) {
		const disk = this.get('VDI', ref);
		for (const device of disk.VBDs) {
			if (this.get('VBD', device).currently_attached) {
				throw new XapiError('VDI_IN_USE', ref, 'destroy');
			}
		}
		for (const device of disk.VBDs) {
			const vm = this.get('VM', this.get('VBD', device).VM);
			vm.VBDs = vm.VBDs.filter((one) => one !== device);
			this.remove(device);
		}
		const sr = this.get('SR', disk.SR);
		sr.VDIs = sr.VDIs.filter((one) => one !== ref);
		this.remove(ref);
	}

	destroyVm(ref) {
		const vm = this.get('VM', ref);
		for (const device of vm.VBDs) {
			const disk = this.table('VDI').get(this.get('VBD', device).VDI);
			if (disk) {
				disk.VBDs = disk.VBDs.filter((one) => one !== device);
			}
			this.remove(device);
		}
		vm.VIFs.forEach((one) => this.remove(one));
		for (const parent of this.table('VM').values()) {
			parent.snapshots = parent.snapshots.filter((one) => one !== ref);
		}
		this.remove(ref);
	}

	// A copy of a VM, a template or a snapshot with new disks.
	duplicate(from, fields, sr) {
		const source = this.get('VM', from);
		const copy = structuredClone(source);
		delete copy.uuid;
		const ref = this.add('VM', { ...copy, is_default_template: false, VBDs: [], VIFs: [], snapshots: [], guest_metrics: NULL,
			metrics: NULL, current_operations: {}, resident_on: NULL, domid: '-1', ...fields });
		for (const device of source.VBDs) {
			const { VDI, type } = this.get('VBD', device);
			if (type === 'Disk') {
				const disk = this.get('VDI', VDI);
				const made = this.addDisk(disk.name_label, sr && sr !== NULL ? sr : disk.SR, disk.virtual_size);
				this.hide(made).content = this.hide(VDI).content;
				this.attach(ref, made);
			} else {
				this.attach(ref, NULL, { type });
			}
		}
		source.VIFs.forEach((card) => this.addCard(ref, this.get('VIF', card).network));
		return ref;
	}

	// --- power ---

	setAttached(vm, attached) {
		vm.VBDs.forEach((device) => this.touch(device, { currently_attached: attached }));
	}

	run(ref, host, resumed) {
		const vm = this.get('VM', ref);
		const metrics = vm.metrics !== NULL ? vm.metrics : this.add('VM_metrics', {});
		this.setAttached(vm, true);
		this.touch(metrics, { memory_actual: vm.memory_static_max, start_time: stamp(), VCPUs_number: vm.VCPUs_at_startup });
		this.touch(ref, { power_state: 'Running', resident_on: host, metrics, domid: String(++this.generation) });
		this.boot(ref, resumed ? 0 : this.settings.toolsMs);
	}

	// The tools report some time after the start.
	boot(ref, ms) {
		const hidden = this.hide(ref);
		clearTimeout(hidden.boot);
		const vm = this.get('VM', ref);
		if (vm.guest_metrics !== NULL) {
			this.remove(vm.guest_metrics);
			this.touch(ref, { guest_metrics: NULL });
		}
		if (ms < 0) {
			return;
		}
		hidden.boot = setTimeout(() => {
			if (this.table('VM').get(ref)?.power_state !== 'Running') {
				return;
			}
			const metrics = this.add('VM_guest_metrics', { PV_drivers_detected: true, live: true, os_version: { name: 'Debian' },
				networks: { '0/ip': this.settings.address, '0/ipv4/0': this.settings.address, '0/ipv6/0': 'fe80::1' }, other: {} });
			this.touch(ref, { guest_metrics: metrics });
		}, ms);
	}

	halt(ref, state = 'Halted') {
		const vm = this.get('VM', ref);
		clearTimeout(this.hide(ref).boot);
		this.setAttached(vm, false);
		if (vm.guest_metrics !== NULL) {
			this.remove(vm.guest_metrics);
		}
		this.touch(ref, { power_state: state, resident_on: NULL, guest_metrics: NULL, domid: '-1' });
		if (state === 'Halted' && vm.suspend_VDI !== NULL) {
			this.destroyDisk(vm.suspend_VDI);
			this.touch(ref, { suspend_VDI: NULL });
		}
	}

	needState(ref, ...states) {
		const vm = this.get('VM', ref);
		if (vm.is_a_template) {
			throw new XapiError('VM_IS_TEMPLATE', ref);
		}
		if (!states.includes(vm.power_state)) {
			throw new XapiError('VM_BAD_POWER_STATE', ref, states[0].toLowerCase(), vm.power_state.toLowerCase());
		}
		return vm;
	}

	// --- tasks ---

	// Work with a VM that takes time. `half` is done in its middle, `end` at its end and gives the result, `undo`
	// where it fails or is cancelled. Resolves to the result.
	operate(ref, name, { half, end, undo, ms, fault, task }) {
		const object = ref && this.table('VM').get(ref);
		const key = task || `OpaqueRef:${randomUUID()}`;
		if (object && Object.keys(object.current_operations).length) {
			throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', ref, Object.values(object.current_operations)[0]);
		}
		if (object) {
			object.current_operations[key] = name;
		}
		const total = fault?.task_ms ?? ms ?? this.settings.taskMs;
		return new Promise((resolve, reject) => {
			let middle, halved;
			const over = (work, settle) => {
				clearTimeout(middle);
				clearTimeout(finish);
				const still = this.table('VM').get(ref);
				if (still) {
					delete still.current_operations[key];
				}
				try {
					settle(work?.());
				} catch (error) {
					reject(error);
				}
			};
			if (half) {
				middle = setTimeout(() => {
					try {
						halved = true;
						half();
					} catch (error) {
						over(undo, () => reject(error));
					}
				}, total * 0.6);
			}
			const finish = setTimeout(() => {
				if (half && !halved) { // timers that are late may come in any order
					middle._onTimeout();
				}
				if (fault?.task_error) {
					over(undo, () => reject(new XapiError(...fault.task_error)));
				} else {
					over(end, resolve);
				}
			}, total);
			if (task) {
				this.hide(task).cancel = () => over(undo, () => reject(new XapiError('TASK_CANCELLED', task)));
			}
		});
	}

	addTask(name, host) {
		return this.add('task', { name_label: name, name_description: '', allowed_operations: ['cancel'], current_operations: {},
			created: stamp(), finished: '19700101T00:00:00Z', status: 'pending', resident_on: host, progress: 0, type: '<none/>',
			result: '', error_info: [], other_config: {}, subtask_of: NULL, subtasks: [], backtrace: '()' });
	}

	endTask(ref, error, result) {
		if (!this.table('task').has(ref)) {
			return;
		}
		if (error?.code === 'TASK_CANCELLED') {
			this.touch(ref, { status: 'cancelled', finished: stamp(), progress: 1 });
		} else if (error) {
			this.touch(ref, { status: 'failure', finished: stamp(), progress: 1, error_info: [error.code, ...error.data] });
		} else {
			this.touch(ref, { status: 'success', finished: stamp(), progress: 1,
				result: result === undefined || result === '' ? '' : `<value>${result}</value>` });
		}
	}
}

module.exports = { Pool, XapiError, NULL, stamp };
