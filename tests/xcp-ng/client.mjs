// SPDX-License-Identifier: MIT
// client.mjs PORT PASSWORD: see client.sh.
import assert from 'assert';
import { createClient } from 'xen-api';

const [port, password] = process.argv.slice(2);
// from another host of the pool: it is sent on to the master
const xapi = createClient({ url: `https://127.0.0.2:${port}`, auth: { user: 'root', password }, debounce: 20 });
await xapi.connect();
await xapi.objectsFetched;

// what its own watch of events has told it
async function until(test) {
	for (;;) {
		const object = xapi.getObject(ref, undefined);
		if (object !== undefined && test(object)) {
			return object;
		}
		await new Promise((resolve) => { setTimeout(resolve, 20); });
	}
}

const vms = await xapi.call('VM.get_all_records');
const [template] = Object.entries(vms).find(([, vm]) => vm.name_label === 'debian12' && vm.is_a_template);
const ref = await xapi.callAsync('VM.clone', template, 'client-vm');
assert.match(ref, /^OpaqueRef:/);
await xapi.callAsync('VM.provision', ref);
await xapi.call('VM.set_memory_limits', ref, '134217728', '268435456', '268435456', '268435456');
const seen = await until((vm) => vm.name_label === 'client-vm');
await xapi.callAsync('VM.start', ref, false, false);
await until((vm) => vm.power_state === 'Running');
assert.strictEqual(await xapi.getField('VM', ref, 'power_state'), 'Running');
await assert.rejects(xapi.callAsync('VM.start', ref, false, false), { code: 'VM_BAD_POWER_STATE' });
const snapshot = await xapi.callAsync('VM.checkpoint', ref, 'one');
await xapi.callAsync('VM.hard_shutdown', ref);
await xapi.callAsync('VM.revert', snapshot);
assert.strictEqual((await xapi.getRecord('VM', ref)).power_state, 'Suspended');
await xapi.callAsync('VM.resume', ref, false, false);
await xapi.callAsync('VM.hard_shutdown', ref);
for (const vm of [snapshot, ref]) {
	for (const vbd of (await xapi.getRecord('VM', vm)).VBDs) {
		await xapi.callAsync('VDI.destroy', (await xapi.getRecord('VBD', vbd)).VDI);
	}
	await xapi.call('VM.destroy', vm);
}
await assert.rejects(xapi.call('VM.get_record', ref), { code: 'HANDLE_INVALID' });
await assert.rejects(xapi.call('VM.get_by_uuid', seen.uuid), { code: 'UUID_INVALID' });
await xapi.disconnect();
process.exit(0);
