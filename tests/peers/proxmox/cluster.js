// SPDX-License-Identifier: MIT
// The model behind the peer: one node, its VMs with their states, locks and snapshots, and tasks
// that take time. Error texts are those of qemu-server.
'use strict';

const NODE = 'pve1';

class Refusal extends Error {
	constructor(status, text, errors) {
		super(text);
		this.status = status;
		this.errors = errors;
	}
}

// Privileges that single options of a configuration need (PVE::API2::Qemu).
const optionPrivileges = [
	[/^(cores|cpu|sockets|vcpus|cpulimit|cpuunits|numa\d*)$/, 'VM.Config.CPU'],
	[/^(memory|balloon|shares)$/, 'VM.Config.Memory'],
	[/^(scsi|virtio|ide|sata|unused)\d+$/, 'VM.Config.Disk'],
	[/^net\d+$/, 'VM.Config.Network'],
	[/^(vga|keyboard|tablet|machine|serial\d+|scsihw|audio0|rng0)$/, 'VM.Config.HWType'],
];

class Cluster {
	constructor(settings) {
		this.settings = settings; // taskMs, agentMs, nodes (1 or 2), version
		this.node = NODE; // of the call that is being served
		this.files = new Map(); // volumes of uploaded images
		this.vms = new Map();
		this.tasks = new Map();
		this.execs = new Map();
		this.logs = new Map();
		this.serial = 1000;
		this.add({ vmid: 9000, name: 'debian12', template: 1, config: { scsi0: 'local-lvm:base-9000-disk-0,size=4G' } });
	}

	add({ vmid, name, template = 0, status = 'stopped', config = {}, lock, pool }) {
		const vm = { vmid, name, node: this.node, template, status, qmpstatus: status, lock, pool, snapshots: new Map(), started: 0,
			pid: status === 'running' ? ++this.serial : 0,
			config: { cores: 1, memory: '512', ...config } };
		this.vms.set(vmid, vm);
		return vm;
	}

	nodes() {
		return ['pve1', 'pve2'].slice(0, this.settings.nodes);
	}

	vm(vmid) {
		const vm = this.vms.get(Number(vmid));
		if (!vm || vm.node !== this.node) {
			throw new Refusal(500, `Configuration file 'nodes/${this.node}/qemu-server/${vmid}.conf' does not exist`);
		}
		return vm;
	}

	checkLock(vm) {
		if (vm.lock) {
			throw new Error(`VM is locked (${vm.lock})`);
		}
	}

	// Starts a task. `begin` runs at once and may throw, `end` when its time is over, `stopped` when
	// somebody stops it. Throwing makes it end with that text.
	task(user, type, id, { begin, end, stopped, ms, log }, fault) {
		const pid = ++this.serial;
		const hex = (number) => number.toString(16).toUpperCase().padStart(8, '0');
		const starttime = Math.floor(Date.now() / 1000);
		const upid = `UPID:${this.node}:${hex(pid)}:${hex(1000000 + pid)}:${hex(starttime)}:${type}:${id}:${user}:`;
		const [owner, tokenid] = user.split('!');
		const task = { upid, node: this.node, pid, pstart: 1000000 + pid, starttime, type, id: String(id), user: owner,
			status: 'running' };
		if (tokenid) {
			task.tokenid = tokenid;
		}
		this.tasks.set(upid, task);
		this.logs.set(upid, log);
		const finish = (text) => {
			clearTimeout(task.timer);
			delete task.stop;
			task.status = 'stopped';
			task.exitstatus = text;
		};
		const attempt = (work) => {
			try {
				work?.();
				return true;
			} catch (error) {
				finish(error.message);
				return false;
			}
		};
		const set = (name, value) => Object.defineProperty(task, name, { value, writable: true, configurable: true });
		if (attempt(begin)) {
			set('stop', () => { attempt(stopped); finish('interrupted by signal'); });
			set('timer', setTimeout(() => {
				if (fault?.task_error) {
					attempt(stopped);
					finish(fault.task_error);
				} else if (attempt(end)) {
					finish('OK');
				}
			}, fault?.task_ms ?? ms ?? this.settings.taskMs));
		}
		return upid;
	}

	locked(vm, lock, end) {
		return {
			begin: () => { this.checkLock(vm); vm.lock = lock; },
			end: () => { vm.lock = undefined; end(); },
			stopped: () => { vm.lock = undefined; },
		};
	}

	run(vm) {
		vm.status = 'running';
		vm.qmpstatus = 'running';
		vm.pid = ++this.serial;
		vm.started = Date.now();
	}

	halt(vm) {
		vm.status = 'stopped';
		vm.qmpstatus = 'stopped';
		vm.pid = 0;
		vm.started = 0;
	}

	agent(vm) {
		if (vm.status !== 'running') {
			throw new Refusal(500, `VM ${vm.vmid} is not running`);
		}
		if (!/^(1|enabled=1)/.test(vm.config.agent || '')) {
			throw new Refusal(500, 'No QEMU guest agent configured');
		}
		if (Date.now() - vm.started < this.settings.agentMs) {
			throw new Refusal(500, 'QEMU guest agent is not running');
		}
	}

	summary(vm) {
		const running = vm.status === 'running';
		const out = { vmid: vm.vmid, name: vm.name, status: vm.status, cpus: Number(vm.config.cores),
			maxmem: Number(vm.config.memory) * 1048576, maxdisk: 4294967296,
			uptime: running ? Math.floor((Date.now() - vm.started) / 1000) : 0,
			mem: running ? 104857600 : 0, cpu: running ? 0.01 : 0, disk: 0,
			diskread: running ? 1000 : 0, diskwrite: running ? 2000 : 0, netin: running ? 300 : 0, netout: running ? 400 : 0 };
		if (vm.template) {
			out.template = 1;
		}
		if (vm.lock) {
			out.lock = vm.lock;
		}
		if (running) {
			out.pid = vm.pid;
		}
		return out;
	}

	checkFree(vmid) {
		if (this.vms.has(vmid)) {
			throw new Refusal(500, `unable to create VM ${vmid} - VM ${vmid} already exists on node '${this.vms.get(vmid).node}'`);
		}
	}

	checkOptions(token, where, options) {
		for (const name of Object.keys(options)) {
			if (name === 'args') {
				throw new Refusal(500, "only root can set 'args' config");
			}
			if (!['node', 'vmid', 'name', 'storage', 'pool', 'start', 'digest', 'delete'].includes(name)) {
				const [, privilege] = optionPrivileges.find(([pattern]) => pattern.test(name)) || [null, 'VM.Config.Options'];
				token.need(where, privilege);
			}
			const storage = String(options[name]).match(/^([a-z][a-z0-9._-]*):\d/);
			if (/^(scsi|virtio|ide|sata)\d+$/.test(name) && storage) {
				token.need(`/storage/${storage[1]}`, 'Datastore.AllocateSpace');
			}
			const bridge = String(options[name]).match(/bridge=(\w+)/);
			if (/^net\d+$/.test(name) && bridge) {
				token.need(`/sdn/zones/localnetwork/${bridge[1]}`, 'SDN.Use');
			}
		}
	}
}

// handlers[key](cluster, {token, fault}, path variables, parameters) → data
const handlers = {
	'GET /version': (c) => ({ release: '8.4', repoid: 'deadbeef', version: c.settings.version }),
	'GET /access/permissions': (c, { token }, v, p) => token.permissions(p.path),
	'GET /nodes': (c) => c.nodes().map((node) => ({ node, status: 'online', maxcpu: 8, maxmem: 17179869184, type: 'node', id: `node/${node}` })),
	'GET /cluster/nextid': (c, call, v, p) => {
		if (p.vmid !== undefined) {
			if (c.vms.has(p.vmid)) {
				throw new Refusal(400, 'Parameter verification failed.', { vmid: `VM ${p.vmid} already exists` });
			}
			return String(p.vmid);
		}
		let vmid = 100;
		while (c.vms.has(vmid)) {
			vmid++;
		}
		return String(vmid); // a text, whatever the types say
	},
	'GET /cluster/resources': (c, { token }) => [...c.vms.values()].filter((vm) => token.may(`/vms/${vm.vmid}`, 'VM.Audit'))
		.map((vm) => ({ id: `qemu/${vm.vmid}`, type: 'qemu', node: vm.node, ...c.summary(vm), maxcpu: Number(vm.config.cores) })),
	'GET /nodes/{node}/qemu': (c, { token }, v) => [...c.vms.values()]
		.filter((vm) => vm.node === v.node && token.may(`/vms/${vm.vmid}`, 'VM.Audit'))
		.map((vm) => c.summary(vm)),
	'POST /nodes/{node}/qemu': (c, { token, fault }, v, p) => {
		const where = p.pool ? `/pool/${p.pool}` : `/vms/${p.vmid}`;
		token.need(where, 'VM.Allocate');
		c.checkOptions(token, where, p);
		c.checkFree(p.vmid);
		const { vmid, name, storage, pool, start, ...config } = p;
		const vm = c.add({ vmid, name: name || `VM ${vmid}`, config, pool, lock: 'create' });
		return c.task(token.id, 'qmcreate', vmid, { end: () => { vm.lock = undefined; }, stopped: () => c.vms.delete(vmid) }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/clone': (c, { token, fault }, v, p) => {
		const from = c.vm(v.vmid);
		c.checkFree(p.newid);
		if (p.storage) {
			if (!p.full && from.template) {
				throw new Refusal(400, 'Parameter verification failed.', { storage: "this parameter is not allowed for 'linked clones'" });
			}
			token.need(`/storage/${p.storage}`, 'Datastore.AllocateSpace');
		}
		token.need('/storage/local-lvm', 'Datastore.AllocateSpace');
		if (p.full === false && !from.template) {
			throw new Refusal(500, "Linked clone feature is not supported for drive 'scsi0'");
		}
		const vm = c.add({ vmid: p.newid, name: p.name || `Copy-of-VM-${from.name}`, config: { ...from.config }, pool: p.pool, lock: 'clone' });
		return c.task(token.id, 'qmclone', v.vmid, { begin: () => c.checkLock(from),
			end: () => { vm.lock = undefined; }, stopped: () => c.vms.delete(p.newid) }, fault);
	},
	'GET /nodes/{node}/qemu/{vmid}/status/current': (c, call, v) => {
		const vm = c.vm(v.vmid);
		return { ...c.summary(vm), ha: { managed: 0 }, qmpstatus: vm.qmpstatus, agent: vm.config.agent ? 1 : 0 };
	},
	'GET /nodes/{node}/qemu/{vmid}/config': (c, call, v) => {
		const vm = c.vm(v.vmid);
		const out = { ...vm.config, name: vm.name, digest: 'da39a3ee5e6b4b0d3255bfef95601890afd80709' };
		if (vm.template) {
			out.template = 1;
		}
		return out;
	},
	'PUT /nodes/{node}/qemu/{vmid}/config': (c, { token }, v, p) => {
		const vm = c.vm(v.vmid);
		c.checkOptions(token, `/vms/${v.vmid}`, p);
		if (vm.lock) {
			throw new Refusal(500, `VM is locked (${vm.lock})`);
		}
		const { delete: dropped, ...set } = p;
		Object.assign(vm.config, set);
		(dropped ? dropped.split(',') : []).forEach((name) => { delete vm.config[name]; });
		return null;
	},
	'PUT /nodes/{node}/qemu/{vmid}/resize': (c, { token, fault }, v, p) => {
		const vm = c.vm(v.vmid);
		return c.task(token.id, 'resize', v.vmid, c.locked(vm, undefined, () => { vm.config.resized = `${p.disk}=${p.size}`; }), fault);
	},
	'DELETE /nodes/{node}/qemu/{vmid}': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		if (vm.status === 'running') {
			throw new Refusal(500, `VM ${v.vmid} is running - destroy failed`);
		}
		return c.task(token.id, 'qmdestroy', v.vmid, { begin: () => c.checkLock(vm), end: () => c.vms.delete(vm.vmid) }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/status/start': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		return c.task(token.id, 'qmstart', v.vmid, {
			begin: () => {
				c.checkLock(vm);
				if (vm.status === 'running') {
					throw new Error(`VM ${v.vmid} already running`);
				}
				if (vm.template) {
					throw new Error('you can\'t start a vm if it\'s a template');
				}
			},
			end: () => c.run(vm),
		}, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/status/stop': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		return c.task(token.id, 'qmstop', v.vmid, { end: () => c.halt(vm) }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/status/shutdown': (c, { token, fault }, v, p) => {
		const vm = c.vm(v.vmid);
		if (vm.qmpstatus === 'paused') {
			throw new Refusal(500, 'VM is paused - cannot shutdown');
		}
		return c.task(token.id, 'qmshutdown', v.vmid, {
			begin: () => c.checkLock(vm),
			end: () => {
				if (vm.deaf && !p.forceStop) {
					throw new Error('VM quit/powerdown failed - got timeout');
				}
				c.halt(vm);
			},
			ms: vm.deaf ? (p.timeout ?? 60) * 1000 : undefined,
		}, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/status/reset': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		if (vm.status !== 'running') {
			throw new Refusal(500, `VM ${v.vmid} not running`);
		}
		return c.task(token.id, 'qmreset', v.vmid, { end: () => { vm.started = Date.now(); } }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/status/suspend': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		if (vm.status !== 'running') {
			throw new Refusal(500, `VM ${v.vmid} not running`);
		}
		return c.task(token.id, 'qmpause', v.vmid, { begin: () => c.checkLock(vm), end: () => { vm.qmpstatus = 'paused'; } }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/status/resume': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		if (vm.status !== 'running') {
			throw new Refusal(500, `VM ${v.vmid} not running`);
		}
		return c.task(token.id, 'qmresume', v.vmid, { begin: () => c.checkLock(vm), end: () => { vm.qmpstatus = 'running'; } }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/snapshot': (c, { token, fault }, v, p) => {
		const vm = c.vm(v.vmid);
		if (p.snapname === 'current') {
			throw new Refusal(500, "unable to use snapshot name 'current' (reserved name)");
		}
		const work = c.locked(vm, 'snapshot', () => vm.snapshots.set(p.snapname,
			{ vmstate: p.vmstate ? 1 : 0, status: vm.status, config: { ...vm.config } }));
		return c.task(token.id, 'qmsnapshot', v.vmid, { ...work, begin: () => {
			if (vm.snapshots.has(p.snapname)) {
				throw new Error(`snapshot name '${p.snapname}' already used`);
			}
			work.begin();
		} }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		const work = c.locked(vm, 'rollback', () => {
			const snapshot = vm.snapshots.get(v.snapname);
			vm.config = { ...snapshot.config };
			c.halt(vm);
			if (snapshot.vmstate && snapshot.status === 'running') {
				c.run(vm);
			}
		});
		return c.task(token.id, 'qmrollback', v.vmid, { ...work, begin: () => {
			if (!vm.snapshots.has(v.snapname)) {
				throw new Error(`snapshot '${v.snapname}' does not exist`);
			}
			work.begin();
		} }, fault);
	},
	'DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}': (c, { token, fault }, v) => {
		const vm = c.vm(v.vmid);
		const work = c.locked(vm, 'snapshot-delete', () => vm.snapshots.delete(v.snapname));
		return c.task(token.id, 'qmdelsnapshot', v.vmid, { ...work, begin: () => {
			if (!vm.snapshots.has(v.snapname)) {
				throw new Error(`snapshot '${v.snapname}' does not exist`);
			}
			work.begin();
		} }, fault);
	},
	'POST /nodes/{node}/qemu/{vmid}/migrate': (c, { token, fault }, v, p) => {
		const vm = c.vm(v.vmid);
		if (p.target === v.node || !c.nodes().includes(p.target)) {
			throw new Refusal(400, 'Parameter verification failed.', { target: 'target is local node, or there is none' });
		}
		if (vm.status === 'running' && !p.online) {
			throw new Refusal(500, 'can\'t migrate running VM without --online');
		}
		return c.task(token.id, 'qmigrate', v.vmid, { ...c.locked(vm, 'migrate', () => { vm.node = p.target; }),
			log: ['migration active, transferred 1.0 GiB of 1.0 GiB VM-state, 1.1 GiB/s',
				'average migration speed: 1.0 GiB/s - downtime 73 ms', 'migration status: completed'] }, fault);
	},
	'GET /nodes/{node}/qemu/{vmid}/rrddata': (c, call, v) => {
		c.vm(v.vmid);
		const now = Math.floor(Date.now() / 60000) * 60;
		// a row is empty where nothing was measured
		return [0, 1, 2, 3].map((row) => ({ time: now - 180 + row * 60, ...(row === 1 ? {} : { cpu: 0.5, maxcpu: 2, mem: 1e8, netin: 1 }) }));
	},
	'GET /nodes/{node}/storage/{storage}/content': (c, call, v) => [...c.files]
		.filter(([volid]) => volid.startsWith(`${v.storage}:`)).map(([volid, size]) => ({ volid, size, format: volid.split('.').pop(), content: 'import' })),
	'POST /nodes/{node}/storage/{storage}/upload': (c, { token, fault, file }, v, p) => {
		if (p.content !== 'import' || !/^[\w.-]+\.(qcow2|raw|vmdk)$/.test(p.filename) || !file) {
			throw new Refusal(400, 'Parameter verification failed.', { filename: 'missing filename, or wrong file extension' });
		}
		return c.task(token.id, 'imgcopy', '', { end: () => c.files.set(`${v.storage}:import/${p.filename}`, file.length) }, fault);
	},
	'DELETE /nodes/{node}/storage/{storage}/content/{volume}': (c, { token, fault }, v) => {
		token.need(`/storage/${v.storage}`, 'Datastore.Allocate');
		if (!c.files.has(v.volume)) {
			throw new Refusal(500, `volume '${v.volume}' does not exist`);
		}
		return c.task(token.id, 'imgdel', v.volume.replace(/:/g, '@'), { end: () => c.files.delete(v.volume) }, fault);
	},
	'GET /nodes/{node}/tasks/{upid}/log': (c, call, v) => (c.logs.get(v.upid) || ['TASK OK']).map((t, i) => ({ n: i + 1, t })),
	'GET /nodes/{node}/tasks/{upid}/status': (c, call, v) => {
		const task = c.tasks.get(v.upid);
		if (!task) {
			throw new Refusal(400, 'Parameter verification failed.', { upid: 'no such task' });
		}
		return { ...task };
	},
	'DELETE /nodes/{node}/tasks/{upid}': (c, call, v) => {
		c.tasks.get(v.upid)?.stop?.();
		return null;
	},
	'POST /nodes/{node}/qemu/{vmid}/agent/ping': (c, call, v) => {
		c.agent(c.vm(v.vmid));
		return { result: {} };
	},
	'GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces': (c, call, v) => {
		c.agent(c.vm(v.vmid));
		return { result: [
			{ name: 'lo', 'ip-addresses': [{ 'ip-address': '127.0.0.1', 'ip-address-type': 'ipv4', prefix: 8 }] },
			{ name: 'eth0', 'hardware-address': 'bc:24:11:00:00:01',
				'ip-addresses': [{ 'ip-address': '192.0.2.7', 'ip-address-type': 'ipv4', prefix: 24 }] }] };
	},
	'POST /nodes/{node}/qemu/{vmid}/agent/exec': (c, call, v, p) => {
		c.agent(c.vm(v.vmid));
		const [program, ...rest] = p.command;
		const pid = ++c.serial;
		const done = { after: Date.now(), exitcode: 0 };
		if (program === 'echo') {
			done['out-data'] = `${rest.join(' ')}\n`;
		} else if (program === 'cat') {
			done['out-data'] = p['input-data'] || '';
		} else if (program === 'true') {
			// says nothing
		} else if (program === 'sleep') {
			done.after += Number(rest[0]) * 1000;
		} else if (program === 'false') {
			done.exitcode = 1;
			done['err-data'] = 'it is false\n';
		} else if (program === 'crash') {
			delete done.exitcode;
			done.signal = 11;
		} else if (program === 'flood') {
			done['out-data'] = 'x'.repeat(65536);
			done['out-truncated'] = 1;
		} else {
			throw new Refusal(500, `Agent error: Guest agent command failed, error was 'Failed to execute child process “${program}” (No such file or directory)'`);
		}
		c.execs.set(`${v.vmid}/${pid}`, done);
		return { pid };
	},
	'GET /nodes/{node}/qemu/{vmid}/agent/exec-status': (c, call, v, p) => {
		c.agent(c.vm(v.vmid));
		const done = c.execs.get(`${v.vmid}/${p.pid}`);
		if (!done) {
			throw new Refusal(500, "Agent error: Invalid parameter 'pid'");
		}
		const { after, ...status } = done;
		if (Date.now() < after) {
			return { exited: 0 };
		}
		c.execs.delete(`${v.vmid}/${p.pid}`);
		return { exited: 1, ...status };
	},
};

module.exports = { Cluster, Refusal, handlers, NODE };
