// SPDX-License-Identifier: MIT
// The real thing as far as it can be had: etcd and kube-apiserver, with CustomResourceDefinitions made of
// the npm types, RBAC with the role that we ship, and the subresources behind the aggregation layer. Only
// KubeVirt itself is a stand-in (virt.js). Everything on 127.0.0.1, all of it ends with standard input.
//
//   node real.js --apiserver kube-apiserver --schema schema.json --role kubevirt.yaml --directory DIR
//
// DIR has the certificates of prepare.sh. Prints "listening PORT CONTROL-PORT". The control port takes
// POST /settings, /restart, /end and GET /objects?PLURAL.
'use strict';
const fs = require('fs');
const http = require('http');
const https = require('https');
const net = require('net');
const os = require('os');
const path = require('path');
const { generateKeyPairSync, randomBytes } = require('crypto');
const { spawn } = require('child_process');
const { parseArgs } = require('util');
const { Schema, readRole, resources } = require('./schema.js');
const { Client, Virt, isAway, settings } = require('./virt.js');

const { values: options } = parseArgs({ options: {
	apiserver: { type: 'string' }, schema: { type: 'string' }, role: { type: 'string' }, directory: { type: 'string' },
} });
const schema = new Schema(JSON.parse(fs.readFileSync(options.schema)).definitions);
const at = (name) => path.join(options.directory, name);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'novacore-kube-'));
const admin = randomBytes(16).toString('hex');
const children = {};
let ending = false;

function end(status) {
	ending = true;
	Object.values(children).forEach((child) => child.kill('SIGKILL'));
	fs.rmSync(work, { recursive: true, force: true });
	process.exit(status);
}

function freePort() {
	return new Promise((resolve) => {
		const server = net.createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

function run(name, command, args) {
	const log = fs.openSync(path.join(work, `${name}.log`), 'a');
	// also when this process is killed
	const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: ['ignore', log, log] });
	children[name] = child;
	child.on('error', (error) => { console.error(`${command}: ${error.message}`); end(1); });
	child.on('exit', (code, signal) => {
		if (!ending && children[name] === child) {
			console.error(`${name} ended by itself (${code ?? signal}):`);
			console.error(fs.readFileSync(path.join(work, `${name}.log`), 'utf8').split('\n').slice(-15).join('\n'));
			end(1);
		}
	});
}

// What a server that is just coming back refuses is asked again.
async function insist(act) {
	for (let i = 0; ; i++) {
		try {
			return await act();
		} catch (error) {
			if (!isAway(error) || i === 100) {
				throw error;
			}
			await new Promise((resolve) => { setTimeout(resolve, 100); });
		}
	}
}

async function until(what, check) {
	for (let i = 0; i < 600; i++) {
		try {
			if (await check()) {
				return;
			}
		} catch (error) {
			// not yet
		}
		await new Promise((resolve) => { setTimeout(resolve, 100); });
	}
	console.error(`${what} does not come`);
	end(1);
}

async function isReady(client) {
	const response = await client.send('GET', '/readyz');
	response.resume();
	return response.statusCode === 200;
}

let ports;
function startServer() {
	run('apiserver', options.apiserver, [`--etcd-servers=http://127.0.0.1:${ports.etcd}`, `--secure-port=${ports.api}`,
		'--bind-address=127.0.0.1', '--advertise-address=127.0.0.1', `--cert-dir=${work}`,
		`--tls-cert-file=${at('cert.pem')}`, `--tls-private-key-file=${at('cert-key.pem')}`,
		`--client-ca-file=${at('client-ca.pem')}`, `--token-auth-file=${work}/tokens.csv`, '--authorization-mode=RBAC',
		'--disable-admission-plugins=ServiceAccount', '--endpoint-reconciler-type=none',
		'--service-cluster-ip-range=10.96.0.0/24', '--service-account-issuer=https://kubernetes.default.svc',
		`--service-account-signing-key-file=${work}/account.key`, `--service-account-key-file=${work}/account.key`]);
}

async function startAll() {
	ports = { etcd: await freePort(), peer: await freePort(), api: await freePort() };
	const tokens = [[admin, 'admin', 'system:masters'], ['kubevirt-bench-token-0123456789', 'bench', ''],
		['kubevirt-watch-token-0123456789', 'reader', '']];
	fs.writeFileSync(path.join(work, 'tokens.csv'), tokens.map(([token, user, group]) =>
		`${token},${user},${user}${group ? `,"${group}"` : ''}\n`).join(''), { mode: 0o600 });
	const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
	fs.writeFileSync(path.join(work, 'account.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
	run('etcd', 'etcd', ['--data-dir', `${work}/etcd`, '--listen-client-urls', `http://127.0.0.1:${ports.etcd}`,
		'--advertise-client-urls', `http://127.0.0.1:${ports.etcd}`, '--listen-peer-urls', `http://127.0.0.1:${ports.peer}`,
		'--initial-advertise-peer-urls', `http://127.0.0.1:${ports.peer}`, '--initial-cluster',
		`default=http://127.0.0.1:${ports.peer}`]);
	startServer();
}

async function etcd(what, body) {
	const response = await fetch(`http://127.0.0.1:${ports.etcd}/v3/kv/${what}`, { method: 'POST',
		body: JSON.stringify(body) });
	return response.json();
}

async function compact() {
	const { header } = await etcd('range', { key: Buffer.from('x').toString('base64') });
	await etcd('compaction', { revision: header.revision, physical: true });
}

// --- what a cluster has besides

function definition({ group, version, plural, kind, type }) {
	return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition',
		metadata: { name: `${plural}.${group}`, annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' } },
		spec: { group, scope: 'Namespaced', names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
			versions: [{ name: version, served: true, storage: true, subresources: { status: {} },
				schema: { openAPIV3Schema: schema.openApi({ ref: type }) } }] } };
}

function bind(name, rules) {
	const group = 'rbac.authorization.k8s.io';
	return [{ apiVersion: `${group}/v1`, kind: 'Role', metadata: { name, namespace: 'bench' }, rules },
		{ apiVersion: `${group}/v1`, kind: 'RoleBinding', metadata: { name, namespace: 'bench' },
			roleRef: { apiGroup: group, kind: 'Role', name },
			subjects: [name === 'reader' ? 'reader' : 'bench', ...(name === 'reader' ? [] : ['bench-user'])]
				.map((user) => ({ kind: 'User', name: user, apiGroup: group })) }];
}

function service(group, version, port) {
	return { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: `${version}.${group}` },
		spec: { group, version, groupPriorityMinimum: 1000, versionPriority: 15, insecureSkipTLSVerify: true,
			service: { name: 'virt-api', namespace: 'bench', port } } };
}

async function furnish(client, port) {
	const make = async (where, object) => {
		if (!await client.call('POST', where, object)) {
			throw new Error(`${object.kind} ${object.metadata.name} cannot be made`);
		}
	};
	await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench' } });
	for (const one of resources) {
		await make('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition(one));
	}
	const looks = [{ apiGroups: ['kubevirt.io'], resources: ['virtualmachines', 'virtualmachineinstances'],
		verbs: ['get', 'list', 'watch'] }];
	for (const object of [...bind('novacore', readRole(fs.readFileSync(options.role, 'utf8'), 'novacore')),
		...bind('reader', looks)]) {
		await make(`/apis/rbac.authorization.k8s.io/v1/namespaces/bench/${object.kind.toLowerCase()}s`, object);
	}
	await make('/api/v1/namespaces/bench/services', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'virt-api' },
		spec: { type: 'ExternalName', externalName: 'localhost' } });
	for (const [group, version] of [['subresources.kubevirt.io', 'v1'], ['metrics.k8s.io', 'v1beta1']]) {
		await make('/apis/apiregistration.k8s.io/v1/apiservices', service(group, version, port));
	}
	for (const one of resources) {
		await until(one.plural, () => client.call('GET', Virt.path(one.plural, 'bench')));
	}
	await until('the aggregation layer', async () => (await client.call('GET', '/apis/subresources.kubevirt.io/v1')).resources);
	await until('metrics', () => client.call('GET', '/apis/metrics.k8s.io/v1beta1/namespaces/bench/pods'));
}

// --- virt-api's part, reached through the API server alone

let virt;
async function serve(request, response) {
	let body = '';
	for await (const chunk of request) {
		body += chunk;
	}
	const url = new URL(request.url, 'https://virt-api');
	const pods = url.pathname.match(/^\/apis\/metrics\.k8s\.io\/v1beta1\/namespaces\/([^/]+)\/pods$/);
	let out;
	if (pods) {
		out = { code: 200, body: virt.metrics(pods[1], url.searchParams) };
	} else if (url.pathname === '/apis/metrics.k8s.io/v1beta1') {
		out = { code: 200, body: { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'metrics.k8s.io/v1beta1',
			resources: [{ name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] }] } };
	} else {
		out = await virt.subresource(request.method, url.pathname, body);
	}
	response.writeHead(out.code, { 'content-type': typeof out.body === 'string' ? 'text/plain' : 'application/json' });
	response.end(typeof out.body === 'string' ? out.body : JSON.stringify(out.body));
}

async function command(key, query, body, client) {
	switch (key) {
	case 'POST /settings': return Object.assign(settings, body);
	case 'POST /end': return insist(() => virt.status(Virt.path(body.plural, 'bench', body.name), { phase: body.phase }));
	// it dies, and what was before is forgotten: a watch cannot go on from there (410)
	case 'POST /restart': {
		for (let i = 0; i < 3; i++) { // so that the last event of any watch is not the last revision
			await client.call('POST', '/api/v1/namespaces/bench/configmaps', { apiVersion: 'v1', kind: 'ConfigMap',
				metadata: { generateName: 'revision-' } });
		}
		const old = children.apiserver;
		children.apiserver = null;
		const gone = new Promise((resolve) => { old.on('exit', resolve); });
		old.kill('SIGKILL');
		await gone;
		await compact();
		startServer();
		await until('the API server', () => isReady(client));
		await until('the aggregation layer', async () => (await client.call('GET', '/apis/subresources.kubevirt.io/v1')).resources);
		return {};
	}
	case 'GET /objects': return (await insist(() => client.call('GET', Virt.path(query, 'bench')))).items;
	default: return { unknown: key };
	}
}

async function main() {
	await startAll();
	const base = `https://127.0.0.1:${ports.api}`;
	const client = new Client({ base, token: admin, ca: fs.readFileSync(at('cert.pem')) });
	const api = https.createServer({ key: fs.readFileSync(at('cert-key.pem')), cert: fs.readFileSync(at('cert.pem')) }, serve);
	await new Promise((resolve) => { api.listen(0, 'localhost', resolve); });
	await until('the API server', () => isReady(client));
	virt = new Virt(client, settings, ['bench']);
	await furnish(client, api.address().port);
	virt.start();
	const controller = http.createServer((request, response) => {
		let text = '';
		request.on('data', (chunk) => { text += chunk; });
		request.on('end', async () => {
			const [where, query = ''] = request.url.split('?');
			response.end(JSON.stringify(await command(`${request.method} ${where}`, query, text ? JSON.parse(text) : {}, client)));
		});
	});
	controller.listen(0, '127.0.0.1', () => console.log(`listening ${ports.api} ${controller.address().port}`));
}

process.stdin.on('end', () => end(0));
process.stdin.resume();
process.on('SIGTERM', () => end(1));
for (const event of ['uncaughtException', 'unhandledRejection']) { // nothing is left running, whatever happens
	process.on(event, (error) => { console.error(error); end(1); });
}
main().catch((error) => { console.error(error); end(1); });
