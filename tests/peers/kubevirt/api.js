// SPDX-License-Identifier: MIT
// A Kubernetes API server in small: objects of the resources in schema.js, with resourceVersion,
// optimistic locking, JSON and merge patches, finalizers, preconditions, lists in pages, watches with
// bookmarks and 410 Gone, RBAC. Stricter than the real one where that drops silently what it does not
// know.
'use strict';
const { randomUUID } = require('crypto');
const { resources } = require('./schema.js');

class Refusal extends Error {
	constructor(code, reason, message, details) {
		super(message);
		this.code = code;
		this.reason = reason;
		this.details = details;
	}

	status() {
		return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: this.message,
			reason: this.reason, ...(this.details ? { details: this.details } : {}), code: this.code };
	}
}

const copy = (value) => JSON.parse(JSON.stringify(value));
const dnsName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

function walkPointer(object, pointer) {
	const keys = pointer.split('/').slice(1).map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
	const last = keys.pop();
	let at = object;
	for (const key of keys) {
		at = at?.[key];
	}
	return [at, last];
}

function jsonPatch(object, patch) {
	if (!Array.isArray(patch)) {
		throw new Refusal(400, 'BadRequest', 'json: cannot unmarshal object into Go value of type jsonpatch.Patch');
	}
	for (const { op, path, value } of patch) {
		const [at, key] = walkPointer(object, path);
		const bad = () => new Refusal(422, 'Invalid', 'the server rejected our request due to an error in our request');
		if (at === undefined || (op !== 'add' && at[key] === undefined)) {
			throw bad();
		}
		if (op === 'test') {
			if (JSON.stringify(at[key]) !== JSON.stringify(value)) {
				throw bad();
			}
		} else if (op === 'remove') {
			delete at[key];
		} else if (op === 'add' && Array.isArray(at)) {
			at.splice(key === '-' ? at.length : Number(key), 0, value);
		} else if (op === 'add' || op === 'replace') {
			at[key] = value;
		} else {
			throw bad();
		}
	}
}

function mergePatch(object, patch) {
	for (const [key, value] of Object.entries(patch)) {
		if (value === null) {
			delete object[key];
		} else if (typeof value === 'object' && !Array.isArray(value)) {
			object[key] = object[key] && typeof object[key] === 'object' ? object[key] : {};
			mergePatch(object[key], value);
		} else {
			object[key] = value;
		}
	}
}

function selects(selector, object) {
	return !selector || selector.split(',').every((one) => {
		const [key, value] = one.split(/==?/);
		const label = object.metadata.labels?.[key];
		return value === undefined ? label !== undefined : label === value;
	});
}

class Api {
	constructor(schema, settings) {
		this.schema = schema;
		this.settings = settings; // bookmarkMs, pageMost, windowEvents
		this.version = 1000;
		this.objects = new Map();
		this.events = []; // {version, path, type, object}
		this.forgotten = 1000; // events up to this one are gone
		this.watches = new Set();
		this.namespaces = new Set(['default', 'bench']);
	}

	// --- storage

	store(resource, namespace, object, type) {
		object.metadata.resourceVersion = String(++this.version);
		const path = `${resource.group}/${resource.plural}/${namespace}`;
		const key = `${path}/${object.metadata.name}`;
		if (type === 'DELETED') {
			this.objects.delete(key);
		} else {
			this.objects.set(key, object);
		}
		const event = { version: this.version, path, type, object: copy(object) };
		this.events.push(event);
		while (this.events.length > this.settings.windowEvents) {
			this.forgotten = this.events.shift().version;
		}
		for (const watch of this.watches) {
			watch.send(event);
		}
	}

	// As compaction does: no watch can begin before now.
	forget() {
		this.events = [];
		this.forgotten = this.version;
	}

	find(resource, namespace, name) {
		const object = this.objects.get(`${resource.group}/${resource.plural}/${namespace}/${name}`);
		if (!object) {
			throw new Refusal(404, 'NotFound', `${resource.plural}.${resource.group} "${name}" not found`,
				{ name, group: resource.group, kind: resource.plural });
		}
		return object;
	}

	invalid(resource, name, causes) {
		const text = causes.map(({ field, message }) => `${field}: ${message}`).join(', ');
		return new Refusal(422, 'Invalid', `${resource.kind}.${resource.group} "${name}" is invalid: ${text}`,
			{ name, group: resource.group, kind: resource.kind, causes });
	}

	check(resource, object) {
		const name = object.metadata?.name || '';
		const causes = this.schema.check(resource.type, object);
		if (!dnsName.test(name)) {
			causes.push({ field: 'metadata.name', message: `Invalid value: "${name}": a lowercase RFC 1123 subdomain `
				+ 'must consist of lower case alphanumeric characters, \'-\' or \'.\'' });
		}
		for (const value of Object.values(object.metadata?.labels || {})) {
			if (!labelValue.test(value)) {
				causes.push({ field: 'metadata.labels', message: `Invalid value: "${value}"` });
			}
		}
		if (object.apiVersion !== `${resource.group}/${resource.version}` || object.kind !== resource.kind) {
			throw new Refusal(400, 'BadRequest', `the object provided is unrecognized (${object.apiVersion} ${object.kind})`);
		}
		const strategy = object.spec?.runStrategy;
		if (resource.plural === 'virtualmachines' && !['Halted', 'Manual', 'Always', 'RerunOnFailure', 'Once', undefined]
			.includes(strategy)) {
			causes.push({ field: 'spec.runStrategy', message: `Invalid RunStrategy (${strategy})` });
		}
		if (causes.length) {
			throw this.invalid(resource, name, causes);
		}
	}

	// --- verbs

	create(resource, namespace, body) {
		const object = copy(body);
		object.metadata ||= {};
		if (!object.metadata.name && object.metadata.generateName) {
			object.metadata.name = object.metadata.generateName + randomUUID().slice(0, 5);
		}
		this.check(resource, object);
		if (object.metadata.namespace && object.metadata.namespace !== namespace) {
			throw new Refusal(400, 'BadRequest', 'the namespace of the provided object does not match the request');
		}
		if (!this.namespaces.has(namespace)) {
			throw new Refusal(404, 'NotFound', `namespaces "${namespace}" not found`,
				{ name: namespace, kind: 'namespaces' });
		}
		const { name } = object.metadata;
		if (this.objects.has(`${resource.group}/${resource.plural}/${namespace}/${name}`)) {
			throw new Refusal(409, 'AlreadyExists', `${resource.plural}.${resource.group} "${name}" already exists`,
				{ name, group: resource.group, kind: resource.plural });
		}
		delete object.status;
		Object.assign(object.metadata, { namespace, uid: randomUUID(), generation: 1,
			creationTimestamp: `${new Date().toISOString().slice(0, 19)}Z` });
		this.store(resource, namespace, object, 'ADDED');
		return object;
	}

	change(resource, namespace, name, subresource, next) {
		const old = this.find(resource, namespace, name);
		const object = next(copy(old));
		const conflict = (why) => new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${resource.plural}.`
			+ `${resource.group} "${name}": ${why}`, { name, group: resource.group, kind: resource.plural });
		if (object.metadata?.resourceVersion && object.metadata.resourceVersion !== old.metadata.resourceVersion) {
			throw conflict('the object has been modified; please apply your changes to the latest version and try again');
		}
		if (object.metadata?.uid && object.metadata.uid !== old.metadata.uid) {
			throw conflict(`Precondition failed: UID in precondition: ${object.metadata.uid}, UID in object meta: `
				+ `${old.metadata.uid}`);
		}
		if (object.metadata?.name !== name) {
			throw new Refusal(400, 'BadRequest', 'the name of the object does not match the name on the URL');
		}
		if (subresource === 'status') {
			this.keep(resource, namespace, old, { ...copy(old), status: object.status });
		} else {
			this.keep(resource, namespace, old, { ...object, status: old.status });
		}
		return this.objects.get(`${resource.group}/${resource.plural}/${namespace}/${name}`) || object;
	}

	keep(resource, namespace, old, object) {
		if (object.status === undefined) {
			delete object.status;
		}
		this.check(resource, object);
		for (const key of ['uid', 'creationTimestamp', 'deletionTimestamp', 'namespace', 'generation']) {
			object.metadata[key] = old.metadata[key];
			if (object.metadata[key] === undefined) {
				delete object.metadata[key];
			}
		}
		delete object.metadata.resourceVersion;
		const before = copy(old);
		delete before.metadata.resourceVersion;
		if (JSON.stringify(before) === JSON.stringify(object)) {
			return; // nothing has changed: no event, no new version
		}
		const ends = object.metadata.deletionTimestamp && !object.metadata.finalizers?.length;
		this.store(resource, namespace, object, ends ? 'DELETED' : 'MODIFIED');
	}

	remove(resource, namespace, name, options) {
		const object = copy(this.find(resource, namespace, name));
		const causes = this.schema.check('K8sIoApimachineryPkgApisMetaV1DeleteOptions', options || {});
		if (causes.length || (options?.kind && options.kind !== 'DeleteOptions')) {
			throw new Refusal(400, 'BadRequest', `DeleteOptions: ${JSON.stringify(causes)}`);
		}
		const wanted = options?.preconditions;
		if ((wanted?.uid && wanted.uid !== object.metadata.uid)
			|| (wanted?.resourceVersion && wanted.resourceVersion !== object.metadata.resourceVersion)) {
			throw new Refusal(409, 'Conflict', `Operation cannot be fulfilled on ${resource.plural}.${resource.group} `
				+ `"${name}": Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: `
				+ `${object.metadata.uid}`, { name, group: resource.group, kind: resource.plural });
		}
		if (object.metadata.finalizers?.length) {
			if (!object.metadata.deletionTimestamp) {
				object.metadata.deletionTimestamp = `${new Date().toISOString().slice(0, 19)}Z`;
				object.metadata.deletionGracePeriodSeconds = 0;
				this.store(resource, namespace, object, 'MODIFIED');
			}
			return object;
		}
		this.store(resource, namespace, object, 'DELETED');
		return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success',
			details: { name, group: resource.group, kind: resource.plural, uid: object.metadata.uid } };
	}

	list(resource, namespace, query) {
		const prefix = `${resource.group}/${resource.plural}/${namespace}/`;
		const limit = Math.min(Number(query.get('limit')) || Infinity, this.settings.pageMost);
		const from = query.get('continue') ? JSON.parse(Buffer.from(query.get('continue'), 'base64')) : null;
		if (from && from.version <= this.forgotten) {
			throw new Refusal(410, 'Expired', 'The provided continue parameter is too old to display a consistent list '
				+ 'result. You can start a new list without the continue parameter.');
		}
		const all = [...this.objects.entries()]
			.filter(([key, object]) => key.startsWith(prefix) && selects(query.get('labelSelector'), object))
			.sort(([a], [b]) => (a < b ? -1 : 1))
			.filter(([key]) => !from || key > from.after);
		const page = all.slice(0, limit);
		const metadata = { resourceVersion: String(from ? from.version : this.version) };
		if (page.length < all.length) {
			metadata.continue = Buffer.from(JSON.stringify({ version: Number(metadata.resourceVersion),
				after: page[page.length - 1][0] })).toString('base64');
			metadata.remainingItemCount = all.length - page.length;
		}
		return { apiVersion: `${resource.group}/${resource.version}`, kind: `${resource.kind}List`, metadata,
			items: page.map(([, object]) => object) };
	}

	// Sends lines to `response` until its time is over.
	watch(resource, namespace, query, response) {
		const path = `${resource.group}/${resource.plural}/${namespace}`;
		const from = Number(query.get('resourceVersion') || 0);
		response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
		const write = (type, object) => response.write(`${JSON.stringify({ type, object })}\n`);
		if (from && from < this.forgotten) {
			write('ERROR', new Refusal(410, 'Expired', `too old resource version: ${from} (${this.forgotten})`).status());
			response.end();
			return;
		}
		const mine = (event) => event.path === path && selects(query.get('labelSelector'), event.object);
		const watch = { send: (event) => mine(event) && write(event.type, event.object), end: () => response.end() };
		if (!from) {
			this.list(resource, namespace, query).items.forEach((object) => write('ADDED', object));
		}
		this.events.filter((event) => event.version > from && from).forEach(watch.send);
		this.watches.add(watch);
		const mark = () => write('BOOKMARK', { kind: resource.kind, apiVersion: `${resource.group}/${resource.version}`,
			metadata: { resourceVersion: String(this.version), creationTimestamp: null } });
		const marks = query.get('allowWatchBookmarks') === 'true' ? setInterval(mark, this.settings.bookmarkMs) : null;
		const end = setTimeout(() => response.end(), (Number(query.get('timeoutSeconds')) || 1800) * 1000);
		response.on('close', () => {
			clearInterval(marks);
			clearTimeout(end);
			this.watches.delete(watch);
		});
	}

	// --- requests

	// {resource, namespace, name, subresource}, or null: no such path
	route(pathname) {
		const found = pathname.match(/^\/apis\/([\w.]+)\/(\w+)\/namespaces\/([^/]+)\/(\w+)(?:\/([^/]+))?(?:\/(status))?$/);
		const resource = found && resources.find((one) => one.group === found[1] && one.version === found[2]
			&& one.plural === found[4]);
		return resource ? { resource, namespace: found[3], name: found[5], subresource: found[6] } : null;
	}

	verbOf(method, route, query) {
		if (method === 'GET') {
			return route.name ? 'get' : query.get('watch') === 'true' ? 'watch' : 'list';
		}
		return { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }[method];
	}

	// An object to answer with; undefined: the watch answers itself.
	serve(method, route, query, headers, body, response) {
		const { resource, namespace, name, subresource } = route;
		const verb = this.verbOf(method, route, query);
		const type = (headers['content-type'] || '').split(';')[0];
		const json = () => {
			try {
				return JSON.parse(body);
			} catch (error) {
				throw new Refusal(400, 'BadRequest', `couldn't get version/kind; json parse error: ${error.message}`);
			}
		};
		if (['create', 'update'].includes(verb) && type !== 'application/json') {
			throw new Refusal(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format');
		}
		switch (verb) {
		case 'get': return this.find(resource, namespace, name);
		case 'list': return this.list(resource, namespace, query);
		case 'watch': return this.watch(resource, namespace, query, response);
		case 'create': return this.create(resource, namespace, json());
		case 'update': return this.change(resource, namespace, name, subresource, () => json());
		case 'delete': return this.remove(resource, namespace, name, body ? json() : null);
		default:
			if (!['application/json-patch+json', 'application/merge-patch+json'].includes(type)) {
				throw new Refusal(415, 'UnsupportedMediaType', `the body of the request was in an unknown format: ${type}`);
			}
			return this.change(resource, namespace, name, subresource, (object) => {
				(type === 'application/json-patch+json' ? jsonPatch : mergePatch)(object, json());
				return object;
			});
		}
	}
}

module.exports = { Api, Refusal };
