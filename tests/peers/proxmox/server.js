// SPDX-License-Identifier: MIT
// A peer for tests of the Proxmox VE driver: HTTPS on 127.0.0.1, one node or two, API tokens.
//
// It is *self-made*. It proves that every call of the driver names a path that exists and carries
// exactly the parameters that Proxmox's own API description allows (names, types, ranges, formats,
// required ones), that tokens with the documented privileges suffice, and that the driver copes with
// tasks, locks, failures and bad answers as they are documented. It cannot prove how long anything
// takes, what a real qemu-server does beyond what its sources say, how a cluster
// behaves that is not well, storage of any kind, high availability, or that a guest runs: no guest does.
//
//   node server.js --schema schema.json --cert cert.pem --key key.pem
//
// Prints "listening PORT CONTROL-PORT" when ready and ends with its standard input. The control port
// (plain HTTP, for the test only) takes POST /fault, /clear, /settings, /vm, /forget and GET
// /calls, /tasks, /vms.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const { parseArgs } = require('util');
const { Faults, begin, control, deliver } = require('../common/faults.js');
const { Calls, checkParameters, checkAnswer, formats } = require('./schema.js');
const { Cluster, Refusal, handlers } = require('./cluster.js');

const { values: options } = parseArgs({ options: {
	schema: { type: 'string' }, cert: { type: 'string' }, key: { type: 'string' },
} });
const schema = JSON.parse(fs.readFileSync(options.schema));
const calls = new Calls(schema.endpoints);
const settings = { taskMs: 30, agentMs: 0, nodes: 1, version: '8.4.1' };
// from Proxmox VE 8.4 on also disk images can be uploaded; the types are older
schema.endpoints['POST /nodes/{node}/storage/{storage}/upload'].params.properties.content.enum.push('import');
const cluster = new Cluster(settings);
const seen = { total: 0, connections: 0, rejected: [], calls: [], privileges: {} };
const faults = new Faults();

// What the man page of the driver says a token needs.
const leastRole = ['VM.Allocate', 'VM.Audit', 'VM.Clone', 'VM.Config.CPU', 'VM.Config.Disk', 'VM.Config.HWType',
	'VM.Config.Memory', 'VM.Config.Network', 'VM.Config.Options', 'VM.Migrate', 'VM.Monitor', 'VM.PowerMgmt', 'VM.Snapshot'];
const tokens = {
	'bench@pve!novacore': { secret: '11111111-2222-3333-4444-555555555555',
		acl: { '/vms': leastRole, '/storage/local-lvm': ['Datastore.AllocateSpace'],
			'/storage/local': ['Datastore.AllocateSpace', 'Datastore.Allocate', 'Datastore.AllocateTemplate'],
			'/sdn/zones/localnetwork': ['SDN.Use'] } },
	// the same, but in a pool of its own instead of everywhere
	'pool@pve!novacore': { secret: '22222222-2222-3333-4444-555555555555',
		acl: { '/pool/bench': leastRole, '/vms/9000': ['VM.Audit', 'VM.Clone'],
			'/storage/local-lvm': ['Datastore.AllocateSpace'], '/sdn/zones/localnetwork': ['SDN.Use'] } },
	'watch@pve!reader': { secret: '99999999-8888-7777-6666-555555555555', acl: { '/vms': ['VM.Audit'] } },
};

class Token {
	constructor(id, acl) {
		this.id = id;
		this.acl = acl;
	}

	may(path, privilege) {
		seen.privileges[privilege] = true;
		const pool = cluster.vms.get(Number(path.replace(/^\/vms\//, '')))?.pool;
		return Object.entries(this.acl).some(([prefix, privileges]) => privileges.includes(privilege)
			&& (path === prefix || prefix === '/' || prefix === `/pool/${pool}` || path.startsWith(`${prefix}/`)));
	}

	need(path, privilege) {
		if (!this.may(path, privilege)) {
			throw new Refusal(403, `Permission check failed (${path}, ${privilege})`);
		}
	}

	permissions(only) {
		const out = {};
		for (const [path, privileges] of Object.entries(this.acl)) {
			if (only === undefined || only === path) {
				out[path] = Object.fromEntries(privileges.map((name) => [name, 1]));
			}
		}
		return out;
	}

	// ["perm", path, [privileges]], ["and"|"or", …]: throws the first refusal
	check(rule, values) {
		const [what, ...rest] = rule;
		if (what === 'perm') {
			if (rest.includes('require_param') && values[rest[rest.indexOf('require_param') + 1]] === undefined) {
				throw new Refusal(403, 'Permission check failed');
			}
			const path = rest[0].replace(/\{(\w+)\}/g, (_, name) => values[name]);
			const any = rest[2] === 'any';
			if (any && rest[1].some((privilege) => this.may(path, privilege))) {
				return;
			}
			rest[1].forEach((privilege) => this.need(path, privilege));
		} else if (what === 'and') {
			rest.forEach((part) => this.check(part, values));
		} else if (what === 'or') {
			let first;
			for (const part of rest) {
				try {
					return this.check(part, values);
				} catch (error) {
					first ||= error;
				}
			}
			throw first;
		}
	}
}

function authenticate(request) {
	const header = request.headers.authorization;
	if (header === undefined) {
		throw new Refusal(401, 'No ticket');
	}
	const [, id, secret] = header.match(/^PVEAPIToken=([^=]+)=(\S+)$/) || [];
	if (id === undefined || !/^[^\s:/]+@[^!]+![\w.-]+$/.test(id)) {
		throw new Refusal(401, 'no such user');
	}
	if (!tokens[id]) {
		throw new Refusal(401, `no such token '${id.split('!')[1]}' for user '${id.split('!')[0]}'`);
	}
	if (tokens[id].secret !== secret) {
		throw new Refusal(401, 'invalid token value!');
	}
	return new Token(id, tokens[id].acl);
}

// Fields, then one file: the upload of pveproxy takes no other order.
function readMultipart(boundary, body) {
	const given = new Map();
	const text = body.toString('latin1');
	const parts = text.split(`--${boundary}`);
	if (parts.shift() !== '' || parts.pop() !== '--\r\n') {
		throw new Refusal(400, 'wrong multipart body');
	}
	for (const part of parts) {
		const [, head, content] = part.match(/^\r\n([^]*?)\r\n\r\n([^]*)\r\n$/) || [];
		const [, name, , filename] = (head || '').match(/form-data; name="(\w+)"(; filename="([^"]+)")?/) || [];
		if (name === undefined || given.file) {
			throw new Refusal(400, 'wrong part of a multipart body');
		}
		given.set(name, [filename ?? content]);
		if (filename) {
			given.file = Buffer.from(content, 'latin1');
		}
	}
	return given;
}

function readForm(request, query, body) {
	const writes = request.method === 'POST' || request.method === 'PUT';
	if (writes && (request.headers['content-type'] || '').startsWith('multipart/form-data; boundary=')) {
		return readMultipart(request.headers['content-type'].split('boundary=')[1], body);
	}
	if (!writes && body.length) {
		throw new Refusal(501, `Unexpected content for method '${request.method}'`);
	}
	if (writes && body.length && request.headers['content-type'] !== 'application/x-www-form-urlencoded') {
		throw new Refusal(400, `this peer takes form-encoded bodies only, not '${request.headers['content-type']}'`);
	}
	if (writes && query) {
		throw new Refusal(400, 'this peer takes no query with POST and PUT');
	}
	const given = new Map();
	for (const [name, value] of new URLSearchParams(writes ? body.toString() : query)) {
		given.set(name, [...(given.get(name) || []), value]);
	}
	return given;
}

function checkPath(variables) {
	const errors = {};
	if (variables.vmid !== undefined && !/^[1-9]\d{2,8}$/.test(variables.vmid)) {
		errors.vmid = 'invalid format - value does not look like a valid VM ID\n';
	}
	if (variables.snapname !== undefined && !formats['pve-configid'][0].test(variables.snapname)) {
		errors.snapname = formats['pve-configid'][1](variables.snapname);
	}
	const upid = /^UPID:[a-zA-Z0-9-]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s]+:[^:\s]*:[^:\s]+:$/;
	if (variables.upid !== undefined && !upid.test(variables.upid)) {
		errors.upid = `unable to parse worker upid '${variables.upid}'\n`;
	}
	if (Object.keys(errors).length) {
		throw new Refusal(400, 'Parameter verification failed.', errors);
	}
	if (variables.node !== undefined && !cluster.nodes().includes(variables.node)) {
		throw new Refusal(500, `hostname lookup '${variables.node}' failed - failed to get address info for: `
			+ `${variables.node}: Name or service not known`);
	}
}

function perform(request, path, query, body, fault) {
	const token = authenticate(request);
	const call = calls.find(request.method, path);
	if (!call) {
		throw new Refusal(501, `Method '${request.method} ${path}' not implemented`);
	}
	checkPath(call.variables);
	const given = readForm(request, query, body);
	const { errors, values } = checkParameters(call.endpoint.params, given);
	if (Object.keys(errors).length) {
		throw new Refusal(400, 'Parameter verification failed.', errors);
	}
	const rule = call.endpoint.permission?.check;
	if (rule) {
		token.check(rule, { ...call.variables, ...values });
	}
	if (!handlers[call.key]) {
		throw new Refusal(501, `the schema has '${call.key}', this peer does not serve it yet`);
	}
	cluster.node = call.variables.node || 'pve1';
	const data = handlers[call.key](cluster, { token, fault, file: given.file }, call.variables, values);
	const wrong = call.key === 'GET /cluster/nextid' ? null : checkAnswer(call.endpoint.returns, data, 'data');
	if (wrong) {
		console.error(`peer: its own answer to ${call.key} is not what the types declare: ${wrong}`);
		process.exit(1);
	}
	return data;
}

function answer(response, fault, status, reason, body) {
	return deliver(response, fault, status, reason,
		{ 'content-type': 'application/json;charset=UTF-8', server: 'pve-api-daemon/3.0' }, JSON.stringify(body));
}

async function serve(request, response) {
	const chunks = [];
	for await (const chunk of request) {
		chunks.push(chunk);
	}
	const [whole, query = ''] = request.url.split('?');
	const path = whole.replace(/^\/api2\/json/, '');
	const key = `${request.method} ${decodeURIComponent(path)}`;
	const fault = faults.take(key);
	seen.total++;
	seen.calls.push(key);
	if (await begin(request, fault)) {
		return;
	}
	try {
		if (!whole.startsWith('/api2/json/')) {
			throw new Refusal(404, 'File not found');
		}
		if (fault?.status) {
			throw new Refusal(fault.status, fault.reason || 'injected');
		}
		await answer(response, fault, 200, 'OK', { data: perform(request, path, query, Buffer.concat(chunks), fault) });
	} catch (error) {
		if (!(error instanceof Refusal)) {
			console.error(error);
			process.exit(1);
		}
		if (error.status === 400 || error.status === 501) {
			seen.rejected.push({ call: key, text: error.message, errors: error.errors });
		}
		await answer(response, fault, error.status, error.message,
			error.errors ? { data: null, errors: error.errors } : { data: null });
	}
}

const wishes = {
	'GET /files': () => [...cluster.files],
	'POST /settings': (body) => { Object.assign(settings, body); },
	'POST /vm': (body) => { cluster.node = 'pve1'; Object.assign(cluster.vms.get(body.vmid) || cluster.add(body), body); },
	'POST /forget': (body) => { cluster.vms.delete(body.vmid); },
	'GET /calls': () => seen,
	'GET /tasks': () => [...cluster.tasks.values()],
	'GET /vms': (body, name) => [...cluster.vms.values()].filter((vm) => !name || String(vm.vmid) === name)
		.map((vm) => ({ ...vm, snapshots: [...vm.snapshots.keys()] })),
};

const server = https.createServer({ key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert) }, serve);
server.on('secureConnection', () => { seen.connections++; });
server.keepAliveTimeout = 5000;
const controller = http.createServer(control(faults, wishes));
server.listen(0, '127.0.0.1', () => controller.listen(0, '127.0.0.1', () => {
	console.log(`listening ${server.address().port} ${controller.address().port}`);
}));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
