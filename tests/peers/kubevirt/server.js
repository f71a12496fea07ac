// SPDX-License-Identifier: MIT
// A peer for tests of the KubeVirt driver: HTTPS on 127.0.0.1, one cluster of three nodes.
//
// It is *self-made* (see README.md for what it proves and what not). The same stand-in for KubeVirt
// also runs at a real kube-apiserver: real.js.
//
//   node server.js --schema schema.json --role kubevirt.yaml --cert cert.pem --key key.pem --client-ca ca.pem
//
// Prints "listening PORT CONTROL-PORT" when ready and ends with its standard input. The control port
// (plain HTTP, for the test only) takes POST /fault, /clear, /settings, /object, /forget, /compact,
// /end, /cut and GET /calls, /objects?PLURAL.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const { randomBytes } = require('crypto');
const { parseArgs } = require('util');
const { Api, Refusal } = require('./api.js');
const { Schema, readRole, resources } = require('./schema.js');
const { Client, Virt, settings: virtDefaults } = require('./virt.js');

const { values: options } = parseArgs({ options: {
	schema: { type: 'string' }, role: { type: 'string' }, cert: { type: 'string' }, key: { type: 'string' },
	'client-ca': { type: 'string' },
} });
const schema = new Schema(JSON.parse(fs.readFileSync(options.schema)).definitions);
const apiDefaults = { bookmarkMs: 500, pageMost: 500, windowEvents: 5000, noMetrics: false, noSnapshots: false };
const settings = { ...apiDefaults, ...virtDefaults };
const api = new Api(schema, settings);
const seen = { total: 0, connections: 0, rejected: [], calls: [] };
let faults = [];

// Who may what: the least role as it is shipped, one that only looks, and KubeVirt itself.
const admin = randomBytes(16).toString('hex');
const least = readRole(fs.readFileSync(options.role, 'utf8'), 'novacore');
const looks = [{ apiGroups: ['kubevirt.io'], resources: ['virtualmachines', 'virtualmachineinstances'],
	verbs: ['get', 'list', 'watch'] }];
const everything = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];
const account = (name) => `system:serviceaccount:bench:${name}`;
const tokens = new Map([
	['kubevirt-bench-token-0123456789', { user: account('novacore'), rules: least }],
	['kubevirt-watch-token-0123456789', { user: account('reader'), rules: looks }],
	['kubevirt-nobody-token-0123456789', { user: account('nobody'), rules: [] }],
	[admin, { user: 'kubevirt', rules: everything, admin: true }],
]);
const certificates = { 'bench-user': { user: 'bench-user', rules: least } };

function may(who, { verb, group, resource, subresource, namespace }) {
	const name = subresource ? `${resource}/${subresource}` : resource;
	const has = (list, wanted) => list.includes('*') || list.includes(wanted);
	return (namespace === 'bench' || who.admin) && who.rules.some((rule) => has(rule.apiGroups, group)
		&& has(rule.resources, name) && has(rule.verbs, verb));
}

function authenticate(request) {
	const header = request.headers.authorization;
	const who = header ? tokens.get(header.replace(/^Bearer /, ''))
		: request.socket.authorized && certificates[request.socket.getPeerCertificate().subject?.CN];
	if (!who) {
		throw new Refusal(401, 'Unauthorized', 'Unauthorized');
	}
	return who;
}

function authorize(who, wanted) {
	if (!may(who, wanted)) {
		const { verb, group, resource, subresource, namespace, name } = wanted;
		const what = `${resource}.${group}${name ? ` "${name}"` : ''}`;
		throw new Refusal(403, 'Forbidden', `${what} is forbidden: User "${who.user}" cannot ${verb} resource `
			+ `"${resource}${subresource ? `/${subresource}` : ''}" in API group "${group}" in the namespace `
			+ `"${namespace}"`, { name, group, kind: resource });
	}
}

function groups() {
	const names = { 'kubevirt.io': 'v1', 'subresources.kubevirt.io': 'v1', 'authorization.k8s.io': 'v1',
		...(settings.noSnapshots ? {} : { 'snapshot.kubevirt.io': 'v1beta1' }),
		...(settings.noMetrics ? {} : { 'metrics.k8s.io': 'v1beta1' }) };
	const version = (name, one) => ({ groupVersion: `${name}/${one}`, version: one });
	return { kind: 'APIGroupList', apiVersion: 'v1', groups: Object.entries(names).map(([name, one]) => ({ name,
		versions: [version(name, one)], preferredVersion: version(name, one) })) };
}

function review(who, body) {
	const asked = JSON.parse(body);
	const about = asked.spec?.resourceAttributes;
	if (asked.kind !== 'SelfSubjectAccessReview' || !about?.verb || !about.resource) {
		throw new Refusal(422, 'Invalid', 'SelfSubjectAccessReview is invalid');
	}
	return { ...asked, status: { allowed: may(who, about) } };
}

// What is answered: {code, body}, or null: the watch does.
async function perform(request, url, body, response) {
	const { pathname, searchParams: query } = url;
	const who = authenticate(request);
	const found = pathname.match(/^\/apis\/(subresources\.kubevirt\.io|metrics\.k8s\.io)\/\w+\/namespaces\/([^/]+)\/(\w+)(?:\/([^/]+)\/(\w+))?$/);
	if (pathname === '/version') {
		return { code: 200, body: { major: '1', minor: '31', gitVersion: 'v1.31.0-peer' } };
	}
	if (pathname === '/apis') {
		return { code: 200, body: groups() };
	}
	if (pathname === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews' && request.method === 'POST') {
		return { code: 201, body: review(who, body) };
	}
	if (found) {
		const verb = { GET: 'list', PUT: 'update' }[request.method];
		authorize(who, { verb, group: found[1], resource: found[3], subresource: found[5], namespace: found[2],
			name: found[4] });
		if (found[1] === 'metrics.k8s.io') {
			return { code: 200, body: virt.metrics(found[2], query) };
		}
	}
	if (pathname.startsWith('/apis/subresources.kubevirt.io/')) {
		return virt.subresource(request.method, pathname, body);
	}
	const route = api.route(pathname);
	if (!route || (settings.noSnapshots && route.resource.group === 'snapshot.kubevirt.io')) {
		return { code: 404, body: '404 page not found\n' };
	}
	const { resource, namespace, name, subresource } = route;
	const verb = api.verbOf(request.method, route, query);
	authorize(who, { verb, group: resource.group, resource: resource.plural, subresource, namespace, name });
	const object = api.serve(request.method, route, query, request.headers, body, response);
	return object === undefined ? null : { code: verb === 'create' ? 201 : 200, body: object };
}

function answer(response, fault, { code, body }) {
	let text = typeof body === 'string' ? body : JSON.stringify(body);
	if (fault?.garbage) {
		text = fault.garbage;
	} else if (fault?.size) {
		text = `{"kind":"${'x'.repeat(fault.size)}"}`;
	}
	response.writeHead(code, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json',
		'content-length': Buffer.byteLength(text), ...(fault?.location ? { location: fault.location } : {}) });
	if (fault?.drop === 'middle') {
		response.write(text.slice(0, text.length / 2));
		setTimeout(() => response.socket.destroy(), 5);
	} else if (fault?.slow_ms) {
		let at = 0;
		const timer = setInterval(() => {
			response.write(text[at++]);
			if (at >= text.length || response.destroyed) {
				clearInterval(timer);
				response.end();
			}
		}, fault.slow_ms);
	} else {
		response.end(text);
	}
}

function takeFault(key) {
	const fault = faults.find((one) => one.times > 0 && new RegExp(one.match).test(key));
	if (fault) {
		fault.times--;
	}
	return fault;
}

async function serve(request, response) {
	let body = '';
	for await (const chunk of request) {
		body += chunk;
	}
	const url = new URL(request.url, 'https://peer');
	const inner = request.headers.authorization === `Bearer ${admin}`;
	const watching = url.searchParams.get('watch') === 'true';
	const key = `${watching ? 'WATCH' : request.method} ${decodeURIComponent(url.pathname)}`;
	const fault = inner ? null : takeFault(key);
	if (!inner) {
		seen.total++;
		seen.calls.push(key);
	}
	if (fault?.delay_ms) {
		await new Promise((resolve) => { setTimeout(resolve, fault.delay_ms); });
	}
	if (fault?.drop === 'before') {
		request.socket.destroy();
		return;
	}
	try {
		if (fault?.status) {
			throw new Refusal(fault.status, fault.code || '', fault.reason || 'injected');
		}
		const out = await perform(request, url, body, response);
		if (fault?.drop === 'after') {
			request.socket.destroy();
		} else if (out) {
			answer(response, fault, out);
		} else if (fault?.line) { // something else in the middle of a watch
			response.write(`${fault.line}\n`);
		}
	} catch (error) {
		if (!(error instanceof Refusal)) {
			console.error(error);
			process.exit(1);
		}
		if (!inner && [400, 415, 422].includes(error.code) && !fault) {
			seen.rejected.push({ call: key, text: error.message });
		}
		answer(response, fault, { code: error.code, body: error.status() });
	}
}

const byPlural = (plural) => resources.find((one) => one.plural === plural);

async function command(key, query, body) {
	const { plural = 'virtualmachines', namespace = 'bench', name } = body;
	const path = name && Virt.path(plural, namespace, name);
	switch (key) {
	case 'POST /fault': faults.push({ times: 1, ...body }); return {};
	case 'POST /clear': faults = []; return {};
	case 'POST /settings': Object.assign(settings, body); return {};
	// somebody else's: made as it is given, or changed
	case 'POST /object': return api.create(byPlural(plural), namespace, body.object);
	case 'POST /forget':
		if (api.objects.has(`${byPlural(plural).group}/${plural}/${namespace}/${name}`)) {
			api.remove(byPlural(plural), namespace, name, null);
		}
		return {};
	case 'POST /compact': api.forget(); return {};
	// a guest that ends by itself
	case 'POST /end': return await virt.status(path, { phase: body.phase }) || {};
	// all watches break now
	case 'POST /cut': server.closeAllConnections(); return {};
	// a token is not known any more
	case 'POST /revoke': tokens.delete(body.token); return {};
	case 'POST /issue': tokens.set(body.token, { user: account('novacore'), rules: least }); return {};
	case 'GET /calls': return seen;
	case 'GET /objects': return [...api.objects.entries()].filter(([one]) => one.includes(`/${query}/`))
		.map(([, one]) => one);
	default: return { unknown: key };
	}
}

function control(request, response) {
	let text = '';
	request.on('data', (chunk) => { text += chunk; });
	request.on('end', async () => {
		const [path, query = ''] = request.url.split('?');
		let out;
		try {
			out = await command(`${request.method} ${path}`, query, text ? JSON.parse(text) : {});
		} catch (error) {
			out = { error: error.message };
		}
		response.end(JSON.stringify(out));
	});
}

const cert = fs.readFileSync(options.cert);
const server = https.createServer({ key: fs.readFileSync(options.key), cert, requestCert: true,
	rejectUnauthorized: false, ca: fs.readFileSync(options['client-ca']) }, serve);
let virt;
server.on('secureConnection', () => { seen.connections++; });
server.keepAliveTimeout = 60000;
server.requestTimeout = 0;
const controller = http.createServer(control);
server.listen(0, '127.0.0.1', () => controller.listen(0, '127.0.0.1', () => {
	const { port } = server.address();
	virt = new Virt(new Client({ base: `https://127.0.0.1:${port}`, token: admin, ca: cert }), settings, ['bench']);
	virt.start();
	console.log(`listening ${port} ${controller.address().port}`);
}));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
