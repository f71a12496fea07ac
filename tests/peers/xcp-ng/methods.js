// SPDX-License-Identifier: MIT
// Which calls there are, what they take after the session, and who may make them: as the data model of
// xapi declares it. A parameter with a ? may be left out. On this wire an integer is a text.
//
// Types: ref of a class, text, int, bool, float, map (of texts), texts, list of refs in a map, record.
'use strict';

const roles = ['read-only', 'vm-operator', 'vm-admin', 'vm-power-admin', 'pool-operator', 'pool-admin'];

// Records that are made: what must and what may stand in them.
const records = {
	VDI: { must: { name_label: 'text', name_description: 'text', SR: 'ref SR', virtual_size: 'int', type: 'text',
		sharable: 'bool', read_only: 'bool', other_config: 'map' }, may: { tags: 'texts', sm_config: 'map', xenstore_data: 'map' } },
	VBD: { must: { VM: 'ref VM', VDI: 'ref VDI', userdevice: 'text', bootable: 'bool', mode: 'text', type: 'text',
		empty: 'bool', other_config: 'map', qos_algorithm_type: 'text', qos_algorithm_params: 'map' },
	may: { unpluggable: 'bool', device: 'text' } },
	VIF: { must: { device: 'text', network: 'ref network', VM: 'ref VM', MAC: 'text', MTU: 'int', other_config: 'map',
		qos_algorithm_type: 'text', qos_algorithm_params: 'map' }, may: { locking_mode: 'text' } },
	network: { must: { name_label: 'text', name_description: 'text', other_config: 'map' },
		may: { MTU: 'int', tags: 'texts', bridge: 'text', managed: 'bool' } },
};

// name: [parameters, role, async?]
const methods = {
	'session.logout': [[], 'read-only'],
	'session.get_record': [['ref session'], 'read-only'],
	'event.from': [['texts', 'text', 'float'], 'read-only'],
	'event.inject': [['text', 'text'], 'read-only'],
	'task.cancel': [['ref task'], 'read-only'],
	'task.destroy': [['ref task'], 'read-only'],
	'VM.start': [['ref VM', 'bool', 'bool'], 'vm-operator', true],
	'VM.start_on': [['ref VM', 'ref host', 'bool', 'bool'], 'vm-power-admin', true],
	'VM.clean_shutdown': [['ref VM'], 'vm-operator', true],
	'VM.hard_shutdown': [['ref VM'], 'vm-operator', true],
	'VM.hard_reboot': [['ref VM'], 'vm-operator', true],
	'VM.pause': [['ref VM'], 'vm-operator', true],
	'VM.unpause': [['ref VM'], 'vm-operator', true],
	'VM.resume': [['ref VM', 'bool', 'bool'], 'vm-operator', true],
	'VM.resume_on': [['ref VM', 'ref host', 'bool', 'bool'], 'vm-power-admin', true],
	'VM.clone': [['ref VM', 'text'], 'vm-admin', true],
	'VM.copy': [['ref VM', 'text', 'ref SR or null'], 'vm-admin', true],
	'VM.provision': [['ref VM'], 'vm-admin', true],
	'VM.destroy': [['ref VM'], 'vm-admin', true],
	'VM.snapshot': [['ref VM', 'text', 'list VDI?'], 'vm-power-admin', true],
	'VM.checkpoint': [['ref VM', 'text'], 'vm-power-admin', true],
	'VM.revert': [['ref VM'], 'vm-power-admin', true],
	'VM.set_is_a_template': [['ref VM', 'bool'], 'vm-admin'],
	'VM.set_affinity': [['ref VM', 'ref host'], 'vm-power-admin'],
	'VM.set_memory_limits': [['ref VM', 'int', 'int', 'int', 'int'], 'vm-admin', true],
	'VM.set_VCPUs_max': [['ref VM', 'int'], 'vm-admin'],
	'VM.set_VCPUs_at_startup': [['ref VM', 'int'], 'vm-admin'],
	'VM.add_to_VCPUs_params': [['ref VM', 'text', 'text'], 'vm-admin'],
	'VM.remove_from_VCPUs_params': [['ref VM', 'text'], 'vm-admin'],
	'VM.pool_migrate': [['ref VM', 'ref host', 'map'], 'vm-power-admin', true],
	'VM.migrate_send': [['ref VM', 'map', 'bool', 'map', 'map', 'map', 'map?'], 'vm-power-admin', true],
	'host.migrate_receive': [['ref host', 'ref network', 'map'], 'vm-power-admin'],
	'VDI.create': [['record VDI'], 'vm-admin', true],
	'VDI.clone': [['ref VDI', 'map?'], 'vm-admin', true],
	'VDI.copy': [['ref VDI', 'ref SR', 'ref VDI?', 'ref VDI?'], 'vm-admin', true],
	'VDI.destroy': [['ref VDI'], 'vm-admin', true],
	'VDI.resize': [['ref VDI', 'int'], 'vm-admin', true],
	'VDI.set_name_label': [['ref VDI', 'text'], 'vm-admin'],
	'VBD.create': [['record VBD'], 'vm-admin', true],
	'VIF.create': [['record VIF'], 'vm-admin', true],
	'network.create': [['record network'], 'pool-operator', true],
	'network.destroy': [['ref network'], 'pool-operator', true],
};

const classes = ['VM', 'VBD', 'VDI', 'VIF', 'SR', 'PIF', 'host', 'network', 'pool', 'task', 'VM_metrics', 'VM_guest_metrics'];
for (const name of classes) {
	methods[`${name}.get_record`] = [[`ref ${name}`], 'read-only'];
	methods[`${name}.get_all_records`] = [[], 'read-only'];
	methods[`${name}.get_by_uuid`] = [['text'], 'read-only'];
}
for (const name of ['VM', 'VDI', 'SR', 'network', 'host']) {
	methods[`${name}.get_by_name_label`] = [['text'], 'read-only'];
}
methods['VM.get_power_state'] = [['ref VM'], 'read-only'];
methods['VM.get_uuid'] = [['ref VM'], 'read-only'];
methods['host.get_address'] = [['ref host'], 'read-only'];

// HTTP handlers are permissions of their own.
const handlers = { 'http/get_rrd_updates': 'read-only', 'http/put_import_raw_vdi': 'vm-admin' };

function permissionsOf(role) {
	const rank = roles.indexOf(role);
	const out = [];
	for (const [name, [, needed, isAsync]] of Object.entries(methods)) {
		if (roles.indexOf(needed) <= rank) {
			out.push(name.toLowerCase());
			if (isAsync) {
				out.push(`async.${name.toLowerCase()}`);
			}
		}
	}
	for (const [name, needed] of Object.entries(handlers)) {
		if (roles.indexOf(needed) <= rank) {
			out.push(name);
		}
	}
	return out;
}

module.exports = { methods, records, classes, permissionsOf };
