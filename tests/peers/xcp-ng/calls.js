// SPDX-License-Identifier: MIT
// What each call does. calls[method](pool, context, …parameters) → result, or a promise of it; context has
// the session, the fault, and the task where the call is asynchronous.
'use strict';
const { randomUUID } = require('crypto');
const { XapiError, NULL, stamp } = require('./pool.js');

// fields of VDIs, VBDs and VIFs that a VM has are changed while it is off
function offOnly(pool, vm) {
	return pool.needState(vm, 'Halted');
}

function snapshot(pool, vm, name, state) {
	const copy = pool.duplicate(vm, { name_label: name, is_a_snapshot: true, is_a_template: true, snapshot_of: vm,
		power_state: state, snapshot_time: stamp() });
	if (state === 'Suspended') {
		const memory = pool.addDisk('Suspend image', pool.sr, pool.get('VM', vm).memory_static_max, { type: 'suspend' });
		pool.touch(copy, { suspend_VDI: memory });
	}
	pool.get('VM', vm).snapshots.push(copy);
	pool.touch(vm);
	return copy;
}

function revert(pool, from) {
	const shot = pool.get('VM', from);
	const vm = shot.snapshot_of;
	pool.halt(vm);
	for (const device of [...pool.get('VM', vm).VBDs]) {
		const { VDI } = pool.get('VBD', device);
		if (VDI !== NULL) {
			pool.destroyDisk(VDI);
		}
	}
	for (const device of shot.VBDs) {
		const disk = pool.get('VDI', pool.get('VBD', device).VDI);
		pool.attach(vm, pool.addDisk(disk.name_label, disk.SR, disk.virtual_size));
	}
	const fields = { VCPUs_max: shot.VCPUs_max, VCPUs_at_startup: shot.VCPUs_at_startup,
		memory_static_max: shot.memory_static_max };
	if (shot.power_state === 'Suspended') {
		fields.power_state = 'Suspended';
		fields.suspend_VDI = pool.addDisk('Suspend image', pool.sr, shot.memory_static_max, { type: 'suspend' });
	}
	pool.touch(vm, fields);
}

function startOn(pool, { fault, task }, vm, host, paused, name) {
	pool.needState(vm, 'Halted');
	const record = pool.get('VM', vm);
	if (Number(record.VCPUs_at_startup) > Number(record.VCPUs_max)) {
		throw new XapiError('INVALID_VALUE', 'VCPUs', 'values must satisfy: VCPUs_at_startup ≤ VCPUs_max');
	}
	return pool.operate(vm, name, { fault, task, half: () => {
		pool.run(vm, host);
		if (paused) {
			pool.touch(vm, { power_state: 'Paused' });
		}
	}, undo: () => pool.table('VM').has(vm) && pool.halt(vm) });
}

function resumeOn(pool, { fault, task }, vm, host, paused, name) {
	pool.needState(vm, 'Suspended');
	return pool.operate(vm, name, { fault, task, half: () => {
		const memory = pool.get('VM', vm).suspend_VDI;
		pool.touch(vm, { suspend_VDI: NULL });
		pool.destroyDisk(memory);
		pool.run(vm, host, true);
	} });
}

const placed = (pool, vm) => (pool.get('VM', vm).affinity !== NULL ? pool.get('VM', vm).affinity : pool.hosts[0]);

const calls = {
	'VM.start': (pool, context, vm, paused) => startOn(pool, context, vm, placed(pool, vm), paused, 'start'),
	'VM.start_on': (pool, context, vm, host, paused) => startOn(pool, context, vm, host, paused, 'start_on'),
	'VM.resume': (pool, context, vm, paused) => resumeOn(pool, context, vm, placed(pool, vm), paused, 'resume'),
	'VM.resume_on': (pool, context, vm, host, paused) => resumeOn(pool, context, vm, host, paused, 'resume_on'),
	'VM.clean_shutdown': (pool, { fault, task }, vm) => {
		const record = pool.needState(vm, 'Running');
		if (record.guest_metrics === NULL && pool.settings.toolsMs < 0) {
			throw new XapiError('VM_LACKS_FEATURE', vm);
		}
		const deaf = pool.hide(vm).deaf;
		return pool.operate(vm, 'clean_shutdown', { fault, task, ms: deaf ? 1200000 : undefined, end: () => pool.halt(vm) });
	},
	'VM.hard_shutdown': (pool, { fault, task }, vm) => {
		pool.needState(vm, 'Running', 'Paused', 'Suspended');
		return pool.operate(vm, 'hard_shutdown', { fault, task, half: () => pool.halt(vm) });
	},
	'VM.hard_reboot': (pool, { fault, task }, vm) => {
		const { resident_on: host } = pool.needState(vm, 'Running', 'Paused');
		return pool.operate(vm, 'hard_reboot', { fault, task, end: () => pool.run(vm, host) });
	},
	'VM.pause': (pool, { fault, task }, vm) => {
		pool.needState(vm, 'Running');
		return pool.operate(vm, 'pause', { fault, task, half: () => pool.touch(vm, { power_state: 'Paused' }) });
	},
	'VM.unpause': (pool, { fault, task }, vm) => {
		pool.needState(vm, 'Paused');
		return pool.operate(vm, 'unpause', { fault, task, half: () => pool.touch(vm, { power_state: 'Running' }) });
	},
	'VM.clone': (pool, { fault, task }, vm, name) => {
		const record = pool.get('VM', vm);
		if (record.power_state !== 'Halted' && !record.is_a_snapshot) {
			throw new XapiError('VM_BAD_POWER_STATE', vm, 'halted', record.power_state.toLowerCase());
		}
		// templates are cloned many times at once
		return pool.operate(record.is_a_template ? null : vm, 'clone', { fault, task, end: () => pool.duplicate(vm, { name_label: name }) });
	},
	'VM.copy': (pool, { fault, task }, vm, name, sr) => {
		pool.get('VM', vm);
		return pool.operate(null, 'copy', { fault, task, end: () => pool.duplicate(vm, { name_label: name }, sr) });
	},
	'VM.provision': (pool, { fault, task }, vm) => {
		const record = pool.get('VM', vm);
		if (!record.is_a_template) {
			throw new XapiError('VM_BAD_POWER_STATE', vm, 'template', 'vm');
		}
		return pool.operate(vm, 'provision', { fault, task, end: () => pool.touch(vm, { is_a_template: false }) });
	},
	'VM.destroy': (pool, context, vm) => {
		const record = pool.get('VM', vm);
		if (record.power_state !== 'Halted' && !record.is_a_snapshot) {
			throw new XapiError('VM_BAD_POWER_STATE', vm, 'halted', record.power_state.toLowerCase());
		}
		if (Object.keys(record.current_operations).length) {
			throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VM', vm);
		}
		pool.destroyVm(vm);
		return '';
	},
	'VM.snapshot': (pool, { fault, task }, vm, name) => {
		pool.needState(vm, 'Halted', 'Running', 'Suspended', 'Paused');
		return pool.operate(vm, 'snapshot', { fault, task, end: () => snapshot(pool, vm, name, 'Halted') });
	},
	'VM.checkpoint': (pool, { fault, task }, vm, name) => {
		pool.needState(vm, 'Running', 'Paused', 'Suspended');
		return pool.operate(vm, 'checkpoint', { fault, task, end: () => snapshot(pool, vm, name, 'Suspended') });
	},
	'VM.revert': (pool, { fault, task }, from) => {
		const shot = pool.get('VM', from);
		if (!shot.is_a_snapshot) {
			throw new XapiError('OPERATION_NOT_ALLOWED', 'revert of what is no snapshot');
		}
		return pool.operate(shot.snapshot_of, 'revert', { fault, task, end: () => revert(pool, from) });
	},
	'VM.set_is_a_template': (pool, context, vm, value) => { pool.touch(vm, { is_a_template: value }); return ''; },
	'VM.set_affinity': (pool, context, vm, host) => { pool.touch(vm, { affinity: host }); return ''; },
	'VM.set_memory_limits': (pool, context, vm, min, max, dynamicMin, dynamicMax) => {
		offOnly(pool, vm);
		const order = [min, dynamicMin, dynamicMax, max].map(Number);
		if (order.some((one, i) => i && one < order[i - 1])) {
			throw new XapiError('MEMORY_CONSTRAINT_VIOLATION', 'Memory limits must satisfy: static_min ≤ dynamic_min ≤ dynamic_max ≤ static_max');
		}
		pool.touch(vm, { memory_static_min: min, memory_static_max: max, memory_dynamic_min: dynamicMin, memory_dynamic_max: dynamicMax });
		return '';
	},
	'VM.set_VCPUs_max': (pool, context, vm, value) => {
		if (Number(value) < Number(offOnly(pool, vm).VCPUs_at_startup)) {
			throw new XapiError('INVALID_VALUE', 'VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max', value);
		}
		pool.touch(vm, { VCPUs_max: value });
		return '';
	},
	'VM.set_VCPUs_at_startup': (pool, context, vm, value) => {
		if (Number(value) > Number(offOnly(pool, vm).VCPUs_max)) {
			throw new XapiError('INVALID_VALUE', 'VCPU values must satisfy: 0 < VCPUs_at_startup ≤ VCPUs_max', value);
		}
		pool.touch(vm, { VCPUs_at_startup: value });
		return '';
	},
	'VM.add_to_VCPUs_params': (pool, context, vm, key, value) => {
		const { VCPUs_params: params } = pool.get('VM', vm);
		if (key in params) {
			throw new XapiError('MAP_DUPLICATE_KEY', 'VM', 'VCPUs_params', key, value);
		}
		pool.touch(vm, { VCPUs_params: { ...params, [key]: value } });
		return '';
	},
	'VM.remove_from_VCPUs_params': (pool, context, vm, key) => {
		const { [key]: gone, ...rest } = pool.get('VM', vm).VCPUs_params;
		pool.touch(vm, { VCPUs_params: rest });
		return '';
	},
	'VM.pool_migrate': (pool, { fault, task }, vm, host, options) => {
		pool.needState(vm, 'Running');
		if (options.live !== 'true') {
			throw new XapiError('INVALID_VALUE', 'live', String(options.live));
		}
		return pool.operate(vm, 'pool_migrate', { fault, task, half: () => pool.touch(vm, { resident_on: host }) });
	},
	'host.migrate_receive': (pool, context, host, network) => {
		if (!pool.find('PIF', 'network', network).length) {
			throw new XapiError('INTERFACE_HAS_NO_IP', network);
		}
		const session = `OpaqueRef:${randomUUID()}`;
		pool.receiving.set(session, host);
		const { address } = pool.get('host', host);
		return { SM: `http://${address}/services/SM?session_id=${session}`, host, xenops: `http://${address}/services/xenops?session_id=${session}`,
			session_id: session, master: `http://${pool.get('host', pool.hosts[0]).address}` };
	},
	'VM.migrate_send': (pool, { fault, task, pools }, vm, dest, live, disks, cards) => {
		const record = pool.needState(vm, 'Running');
		const to = pools.find((one) => one.receiving.get(dest.session_id) === dest.host);
		if (!to || !live) {
			throw new XapiError('VM_MIGRATE_FAILED', vm, dest.host, dest.host, 'the destination expects nothing');
		}
		const vdis = record.VBDs.map((one) => pool.get('VBD', one)).filter((one) => one.type === 'Disk').map((one) => one.VDI);
		for (const disk of vdis) {
			if (!disks[disk]) {
				throw new XapiError('VDI_NOT_IN_MAP', disk);
			}
			to.get('SR', disks[disk]);
		}
		for (const card of record.VIFs) {
			if (!cards[card]) {
				throw new XapiError('VIF_NOT_IN_MAP', card);
			}
			to.get('network', cards[card]);
		}
		return pool.operate(vm, 'migrate_send', { fault, task, end: () => {
			to.receiving.delete(dest.session_id);
			const made = to.addVm({ ...structuredClone(record), VBDs: [], VIFs: [], snapshots: [], metrics: NULL, guest_metrics: NULL,
				affinity: NULL, current_operations: {}, power_state: 'Halted' });
			vdis.forEach((disk) => to.attach(made, to.addDisk(pool.get('VDI', disk).name_label, disks[disk], pool.get('VDI', disk).virtual_size)));
			record.VIFs.forEach((card) => to.addCard(made, cards[card]));
			to.run(made, dest.host, true);
			pool.halt(vm);
			vdis.forEach((disk) => pool.destroyDisk(disk));
			pool.destroyVm(vm);
			return made;
		} });
	},
	'VDI.create': (pool, context, record) => {
		const { SR, name_label: name, virtual_size: size, ...rest } = record;
		return pool.addDisk(name, SR, size, rest);
	},
	'VDI.clone': (pool, { fault, task }, ref) => {
		const disk = pool.get('VDI', ref);
		return pool.operate(null, 'clone', { fault, task, end: () => {
			const made = pool.addDisk(disk.name_label, disk.SR, disk.virtual_size);
			pool.hide(made).content = pool.hide(ref).content;
			return made;
		} });
	},
	'VDI.copy': (pool, { fault, task }, ref, sr) => {
		const disk = pool.get('VDI', ref);
		return pool.operate(null, 'copy', { fault, task, end: () => {
			const made = pool.addDisk(disk.name_label, sr, disk.virtual_size);
			pool.hide(made).content = pool.hide(ref).content;
			return made;
		} });
	},
	'VDI.destroy': (pool, { fault, task }, ref) => {
		pool.get('VDI', ref);
		return pool.operate(null, 'destroy', { fault, task, ms: pool.settings.taskMs / 3, end: () => pool.destroyDisk(ref) });
	},
	'VDI.resize': (pool, context, ref, size) => {
		if (Number(size) < Number(pool.get('VDI', ref).virtual_size)) {
			throw new XapiError('INVALID_VALUE', 'size', size);
		}
		pool.touch(ref, { virtual_size: size });
		return '';
	},
	'VDI.set_name_label': (pool, context, ref, name) => { pool.touch(ref, { name_label: name }); return ''; },
	'VBD.create': (pool, context, record) => {
		offOnly(pool, record.VM);
		pool.get('VDI', record.VDI);
		if (pool.get('VM', record.VM).VBDs.some((one) => pool.get('VBD', one).userdevice === record.userdevice)) {
			throw new XapiError('DEVICE_ALREADY_EXISTS', record.userdevice);
		}
		const { VM, VDI, ...rest } = record;
		return pool.attach(VM, VDI, rest);
	},
	'VIF.create': (pool, context, record) => pool.addCard(record.VM, record.network),
	'network.create': (pool, context, record) => pool.add('network', { MTU: '1500', tags: [], PIFs: [], VIFs: [], bridge: 'xapi0', ...record }),
	'network.destroy': (pool, context, ref) => {
		if (pool.find('VIF', 'network', ref).length) {
			throw new XapiError('NETWORK_CONTAINS_VIF', ...pool.find('VIF', 'network', ref));
		}
		pool.remove(ref);
		return '';
	},
	'task.cancel': (pool, context, ref) => {
		pool.get('task', ref);
		pool.hide(ref).cancel?.();
		return '';
	},
	'task.destroy': (pool, context, ref) => { pool.get('task', ref); pool.remove(ref); return ''; },
	'event.from': (pool, context, classes, token, timeout) => pool.events(classes, token, timeout),
	'event.inject': (pool, context, cls, ref) => {
		const before = pool.generation;
		pool.touch(ref);
		return `${before},0`;
	},
	'VM.get_power_state': (pool, context, vm) => pool.get('VM', vm).power_state,
	'VM.get_uuid': (pool, context, vm) => pool.get('VM', vm).uuid,
	'host.get_address': (pool, context, host) => pool.get('host', host).address,
};

// get_record and the like of all classes
function read(pool, cls, verb, value) {
	if (verb === 'get_record') {
		return pool.get(cls, value);
	}
	if (verb === 'get_all_records') {
		return Object.fromEntries(pool.table(cls));
	}
	if (verb === 'get_by_name_label') {
		return pool.find(cls, 'name_label', value);
	}
	const found = pool.find(cls, 'uuid', value);
	if (found.length !== 1) {
		throw new XapiError('UUID_INVALID', cls, value);
	}
	return found[0];
}

module.exports = { calls, read };
