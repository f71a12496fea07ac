// SPDX-License-Identifier: MIT
// A peer for tests of the XCP-ng driver: XenAPI as JSON-RPC on HTTPS. Pool A has its master on 127.0.0.1 and
// another host on 127.0.0.2, pool B one host on 127.0.0.3, all on one port. What it proves and what not is in
// README.md.
//
//   node server.js --cert cert.pem --key cert-key.pem
//
// Prints "listening PORT CONTROL-PORT" when ready and ends with its standard input. The control port takes
// POST /fault, /clear, /settings, /vm, /expire and GET /calls, /vms, /disks, /tasks, /sessions. Keys of faults
// are names of methods ("Async.VM.start"), and "PUT /import_raw_vdi".
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const { randomUUID } = require('crypto');
const { parseArgs } = require('util');
const { Faults, begin, deliver, control } = require('../common/faults.js');
const { methods, records, permissionsOf } = require('./methods.js');
const { Pool, XapiError, NULL } = require('./pool.js');
const { calls, read } = require('./calls.js');

const { values: options } = parseArgs({ options: {
	cert: { type: 'string' }, key: { type: 'string' },
} });
const faults = new Faults();
const settings = { taskMs: 30, toolsMs: 0, address: '192.0.2.7' };
const seen = { total: 0, connections: 0, rejected: [], calls: [], permissions: {} };
const pools = [new Pool('a', ['127.0.0.1', '127.0.0.2'], settings), new Pool('b', ['127.0.0.3'], settings)];
const sessions = new Map(); // ref → {user, pool}
const users = {
	root: { password: 'squirrel-of-the-test', superuser: true },
	bench: { password: 'another-squirrel', role: 'vm-power-admin' },
	reader: { password: 'reading-squirrel', role: 'read-only' },
};

function hostOf(request) {
	const address = request.socket.localAddress;
	for (const pool of pools) {
		const [host] = pool.find('host', 'address', address);
		if (host) {
			return { pool, host, isMaster: host === pool.hosts[0] };
		}
	}
	return null;
}

// --- parameters ---

function isMap(value) {
	return value !== null && typeof value === 'object' && !Array.isArray(value)
		&& Object.values(value).every((one) => typeof one === 'string');
}

function checkRecord(pool, cls, value, method) {
	const { must, may } = records[cls];
	if (value === null || typeof value !== 'object' || Array.isArray(value)) {
		throw new XapiError('FIELD_TYPE_ERROR', cls);
	}
	for (const [name, type] of Object.entries(must)) {
		if (value[name] === undefined) {
			throw new XapiError('FIELD_TYPE_ERROR', name);
		}
		checkType(pool, type, value[name], name, method);
	}
	for (const name of Object.keys(value)) {
		if (!must[name] && !may[name]) {
			throw new XapiError('FIELD_TYPE_ERROR', `${cls} has no ${name}`);
		}
		if (may[name]) {
			checkType(pool, may[name], value[name], name, method);
		}
	}
}

function checkType(pool, type, value, name, method) {
	const [kind, cls, , nullable] = type.replace('?', '').split(' ');
	const good = {
		text: () => typeof value === 'string',
		int: () => typeof value === 'string' && /^-?\d+$/.test(value),
		bool: () => typeof value === 'boolean',
		float: () => typeof value === 'number',
		map: () => isMap(value),
		texts: () => Array.isArray(value) && value.every((one) => typeof one === 'string'),
		list: () => Array.isArray(value),
		ref: () => typeof value === 'string',
		record: () => true,
	}[kind]();
	if (!good) {
		throw new XapiError('FIELD_TYPE_ERROR', `${name}: ${type}, not ${JSON.stringify(value)}`);
	}
	if (kind === 'ref' && cls !== 'session' && !(nullable && value === NULL)) {
		pool.get(cls, value);
	}
	if (kind === 'record') {
		checkRecord(pool, cls, value, method);
	}
}

// --- calls ---

function logIn(pool, user, password) {
	if (users[user]?.password !== password) {
		throw new XapiError('SESSION_AUTHENTICATION_FAILED', user, 'Authentication failure');
	}
	const ref = `OpaqueRef:${randomUUID()}`;
	sessions.set(ref, { user, pool });
	return ref;
}

function describeSession(ref) {
	const { user } = sessions.get(ref);
	return { uuid: randomUUID(), this_host: NULL, this_user: NULL, last_active: '', pool: false, other_config: {},
		is_local_superuser: !!users[user].superuser, subject: NULL, validation_time: '', auth_user_sid: user,
		auth_user_name: user, rbac_permissions: users[user].superuser ? [] : permissionsOf(users[user].role),
		tasks: [], parent: NULL, originator: 'novacore', client_certificate: false };
}

function authorize(session, permission) {
	const user = users[sessions.get(session).user];
	seen.permissions[permission.toLowerCase()] = true;
	if (!user.superuser && !permissionsOf(user.role).includes(permission.toLowerCase())) {
		throw new XapiError('RBAC_PERMISSION_DENIED', permission.toLowerCase(), `No permission in user session.`);
	}
}

function needSession(pool, ref) {
	if (typeof ref !== 'string' || sessions.get(ref)?.pool !== pool) {
		throw new XapiError('SESSION_INVALID', String(ref));
	}
}

async function perform({ pool, isMaster }, whole, parameters, fault) {
	if (whole === 'system.listMethods') {
		return Object.keys(methods);
	}
	if (!isMaster) {
		throw new XapiError('HOST_IS_SLAVE', pool.get('host', pool.hosts[0]).address);
	}
	if (whole === 'session.login_with_password') {
		if (parameters.length < 2 || parameters.length > 4 || !parameters.every((one) => typeof one === 'string')) {
			throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', whole, '4', String(parameters.length));
		}
		return logIn(pool, ...parameters);
	}
	const name = whole.replace(/^Async\./, '');
	const [types, , canBeAsync] = methods[name] || [];
	if (!types || (name !== whole && !canBeAsync)) {
		throw new XapiError('MESSAGE_METHOD_UNKNOWN', whole);
	}
	const [session, ...rest] = parameters;
	needSession(pool, session);
	const least = types.filter((one) => !one.endsWith('?')).length;
	if (rest.length < least || rest.length > types.length) {
		throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', whole, String(types.length), String(rest.length));
	}
	authorize(session, whole);
	rest.forEach((value, i) => checkType(pool, types[i], value, `parameter ${i + 1}`, name));
	if (name === 'session.logout') {
		sessions.delete(session);
		return '';
	}
	if (name === 'session.get_record') {
		needSession(pool, rest[0]);
		return describeSession(rest[0]);
	}
	const [cls, verb] = name.split('.');
	if (!calls[name]) {
		return read(pool, cls, verb, rest[0]);
	}
	if (name === whole) {
		return (await calls[name](pool, { fault, session, pools }, ...rest)) ?? '';
	}
	const task = pool.addTask(whole, pool.hosts[0]);
	Promise.resolve().then(() => calls[name](pool, { fault, session, task, pools }, ...rest))
		.then((result) => pool.endTask(task, null, result), (error) => {
			if (!(error instanceof XapiError)) {
				console.error(error);
				process.exit(1);
			}
			pool.endTask(task, error);
		});
	return task;
}

// What only a wrong client gets.
const clumsy = ['MESSAGE_PARAMETER_COUNT_MISMATCH', 'FIELD_TYPE_ERROR', 'MESSAGE_METHOD_UNKNOWN', 'MAP_DUPLICATE_KEY',
	'MEMORY_CONSTRAINT_VIOLATION', 'INVALID_VALUE', 'DEVICE_ALREADY_EXISTS', 'EVENT_FROM_TOKEN_PARSE_FAILURE'];

function reply(response, fault, body) {
	return deliver(response, fault, fault?.status || 200, fault?.reason || 'OK', { 'content-type': 'application/json' },
		JSON.stringify(body));
}

async function serveRpc(where, request, response, body) {
	let call;
	try {
		call = JSON.parse(body.toString());
	} catch {
		call = {};
	}
	const { jsonrpc, method, params, id } = call;
	if (jsonrpc !== '2.0' || typeof method !== 'string' || !Array.isArray(params)
		|| request.headers['content-type'] !== 'application/json') {
		seen.rejected.push({ call: String(method), text: 'no JSON-RPC 2.0 request' });
		return deliver(response, null, 400, 'Bad Request', {}, '');
	}
	const fault = faults.take(method);
	seen.total++;
	seen.calls.push(method);
	if (await begin(request, fault)) {
		return undefined;
	}
	if (fault?.status || fault?.location) {
		return reply(response, { status: 302, ...fault }, '');
	}
	try {
		if (fault?.error) {
			throw new XapiError(...fault.error);
		}
		const result = await perform(where, method, params, fault);
		return await reply(response, fault, { jsonrpc: '2.0', result, id });
	} catch (error) {
		if (!(error instanceof XapiError)) {
			console.error(error);
			process.exit(1);
		}
		if (clumsy.includes(error.code) && !fault?.error) {
			seen.rejected.push({ call: method, text: `${error.code} ${error.data}` });
		}
		return reply(response, fault, { jsonrpc: '2.0', error: { code: 1, message: error.code, data: error.data }, id });
	}
}

// --- HTTP handlers ---

function cookieSession(request) {
	const [, ref] = (request.headers.cookie || '').match(/(?:^|; )session_id=([^;]+)/) || [];
	return ref;
}

function statistics({ pool, host }, query) {
	const legend = [];
	const columns = [];
	for (const vm of pool.table('VM').values()) {
		if (vm.resident_on === host && (!query.get('vm_uuid') || query.get('vm_uuid') === vm.uuid)) {
			for (const [name, value] of [['cpu0', '0.5'], ['cpu1', '0.25'], ['cpu_usage', '0.1'], ['memory', vm.memory_static_max],
				['vbd_xvda_read', '1000'], ['vbd_xvda_write', '2000'], ['vbd_xvda_read_latency', '7'], ['vif_0_rx', '300'],
				['vif_0_tx', 'Infinity']]) {
				legend.push(`AVERAGE:vm:${vm.uuid}:${name}`);
				columns.push(value);
			}
		}
	}
	const end = Math.floor(Date.now() / 5000) * 5;
	return { meta: { start: end - 10, step: 5, end, rows: 3, columns: legend.length, legend },
		data: [0, 1, 2].map((row) => ({ t: end - row * 5, values: row === 2 ? columns.map(() => 'NaN') : columns })) };
}

function importDisk({ pool, host }, query, body) {
	const ref = query.get('vdi');
	const disk = pool.get('VDI', ref);
	const owner = pool.hide(disk.SR).host;
	if (owner && owner !== host) {
		return { status: 302, location: `https://${pool.get('host', owner).address}/import_raw_vdi` };
	}
	if (!['raw', 'vhd'].includes(query.get('format')) || body.length > Number(disk.virtual_size)) {
		return { status: 500 };
	}
	pool.hide(ref).content = body;
	pool.touch(ref, { physical_utilisation: String(body.length) });
	return { status: 200 };
}

async function serveHttp(where, request, response, path, query, body) {
	const key = `${request.method} ${path}`;
	const fault = faults.take(key);
	seen.total++;
	seen.calls.push(key);
	if (await begin(request, fault)) {
		return undefined;
	}
	const session = cookieSession(request);
	const permission = `http/${request.method.toLowerCase()}_${path.slice(1)}`;
	if (query.has('session_id')) {
		seen.rejected.push({ call: key, text: 'the session stands in the URL' });
	}
	if (fault?.status) {
		return deliver(response, fault, fault.status, fault.reason || 'injected', {}, '');
	}
	try {
		needSession(where.pool, session);
		authorize(session, permission);
	} catch (error) {
		return deliver(response, fault, error.code === 'SESSION_INVALID' ? 401 : 403, error.code, {}, '');
	}
	if (key === 'GET /rrd_updates' && query.get('json') === 'true') {
		return deliver(response, fault, 200, 'OK', { 'content-type': 'application/json' }, JSON.stringify(statistics(where, query)));
	}
	if (key === 'PUT /import_raw_vdi') {
		const { status, location } = importDisk(where, query, body);
		return deliver(response, fault, status, http.STATUS_CODES[status], location ? { location } : {}, '');
	}
	return deliver(response, fault, 404, 'Not Found', {}, '');
}

async function serve(request, response) {
	const where = hostOf(request); // before the client may have gone
	const chunks = [];
	try {
		for await (const chunk of request) {
			chunks.push(chunk);
		}
	} catch {
		return;
	}
	if (!where) {
		return;
	}
	const [path, query = ''] = request.url.split('?');
	const body = Buffer.concat(chunks);
	if (request.method === 'POST' && path === '/jsonrpc') {
		await serveRpc(where, request, response, body);
	} else {
		await serveHttp(where, request, response, path, new URLSearchParams(query), body);
	}
}

// --- the test's wishes ---

const show = (pool) => [...pool.table('VM')].map(([ref, vm]) => ({ ref, ...vm }));
const pick = (query) => pools[query === 'b' ? 1 : 0];
const wishes = {
	'POST /settings': (body) => { Object.assign(settings, body); },
	'POST /vm': ({ find, deaf, halt, pool: which, ...fields }) => {
		const pool = pick(which);
		const ref = find ? pool.find('VM', 'name_label', find)[0] : pool.addVm(fields);
		if (find) {
			pool.touch(ref, fields);
		}
		if (deaf !== undefined) {
			pool.hide(ref).deaf = deaf;
		}
		if (halt) {
			pool.halt(ref);
		}
		return { ref, uuid: pool.get('VM', ref).uuid };
	},
	'POST /disk': ({ name, vm }) => {
		const disk = pools[0].addDisk(name, pools[0].sr, 1073741824);
		for (const one of vm || []) {
			pools[0].attach(pools[0].find('VM', 'name_label', one)[0], disk);
		}
		return { ref: disk, uuid: pools[0].get('VDI', disk).uuid };
	},
	'POST /forget': ({ name }) => {
		for (const ref of pools[0].find('VM', 'name_label', name)) {
			pools[0].destroyVm(ref);
		}
		for (const ref of pools[0].find('VDI', 'name_label', name)) {
			pools[0].destroyDisk(ref);
		}
	},
	'POST /expire': () => { sessions.clear(); },
	'GET /calls': () => seen,
	'GET /sessions': () => [...sessions.values()].map(({ user }) => user),
	'GET /tasks': () => [...pools[0].table('task').values()],
	'GET /vms': (body, query) => show(pick(query)).filter((vm) => !vm.is_default_template && vm.name_label !== 'debian12'),
	'GET /disks': (body, query) => [...pick(query).table('VDI')].map(([ref, disk]) => ({ ref, ...disk,
		content: pick(query).hide(ref).content?.length ?? 0 })).filter((disk) => disk.name_label !== 'debian12 root' || disk.VBDs.length === 0
		|| !pick(query).get('VM', pick(query).get('VBD', disk.VBDs[0]).VM).is_a_template),
	// the disks that hold a text, such as a key
	'POST /holding': ({ text }) => [...pools[0].table('VDI')].filter(([ref]) => pools[0].hide(ref).content?.includes(text))
		.map(([, disk]) => disk.name_label),
	'GET /networks': () => [...pools[0].table('network').values()],
};

const secrets = { key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert) };

// The hosts of a pool answer on one port, each on its own address.
function listen(address, port, then) {
	const server = https.createServer(secrets, serve);
	server.on('secureConnection', () => { seen.connections++; });
	server.keepAliveTimeout = 5000;
	server.on('error', (error) => {
		console.error(error);
		process.exit(1);
	});
	server.listen(port, address, () => then(server.address().port));
}

listen('127.0.0.1', 0, (port) => listen('127.0.0.2', port, () => listen('127.0.0.3', port, () => {
	const controller = http.createServer(control(faults, wishes));
	controller.listen(0, '127.0.0.1', () => console.log(`listening ${port} ${controller.address().port}`));
})));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
