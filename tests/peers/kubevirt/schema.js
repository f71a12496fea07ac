// SPDX-License-Identifier: MIT
// What types.js has extracted, used twice: to refuse what KubeVirt's own API would refuse (and, more
// strictly, what it would silently drop), and as the schema of a CustomResourceDefinition.
'use strict';

class Schema {
	constructor(definitions) {
		this.definitions = definitions;
	}

	// Causes as in a Status: [{field, message}]
	check(type, value, field = '') {
		const causes = [];
		this.walk({ ref: type }, value, field, causes);
		return causes;
	}

	walk(type, value, field, causes) {
		const say = (message) => causes.push({ field, message });
		if (value === null) {
			say('must not be null');
		} else if (type.ref) {
			this.walkObject(this.definitions[type.ref], value, field, causes);
		} else if (type.array) {
			if (!Array.isArray(value)) {
				say('must be an array');
			} else {
				value.forEach((item, i) => this.walk(type.array, item, `${field}[${i}]`, causes));
			}
		} else if (type.map) {
			if (typeof value !== 'object' || Array.isArray(value)) {
				say('must be an object');
			} else {
				Object.entries(value).forEach(([key, item]) => this.walk(type.map, item, `${field}[${key}]`, causes));
			}
		} else if (type.type !== 'any' && typeof value !== type.type) { // eslint-disable-line valid-typeof
			say(`must be a ${type.type}, not ${JSON.stringify(value)}`);
		}
	}

	walkObject(definition, value, field, causes) {
		if (definition.any) {
			return;
		}
		if (typeof value !== 'object' || Array.isArray(value)) {
			causes.push({ field, message: 'must be an object' });
			return;
		}
		for (const [key, item] of Object.entries(value)) {
			const inner = field ? `${field}.${key}` : key;
			if (definition.properties[key]) {
				this.walk(definition.properties[key], item, inner, causes);
			} else {
				causes.push({ field: inner, message: 'is not known' });
			}
		}
		for (const key of definition.required) {
			if (value[key] === undefined) {
				causes.push({ field: field ? `${field}.${key}` : key, message: 'Required value' });
			}
		}
	}

	// OpenAPI v3 as a CustomResourceDefinition takes it: no references, no recursion.
	openApi(type, depth = 0) {
		const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
		if (type.array) {
			return { type: 'array', items: this.openApi(type.array, depth + 1) };
		}
		if (type.map) {
			return { type: 'object', additionalProperties: this.openApi(type.map, depth + 1) };
		}
		if (type.type) {
			return type.type === 'any' ? { 'x-kubernetes-preserve-unknown-fields': true } : { type: type.type };
		}
		const definition = this.definitions[type.ref];
		if (definition.any) {
			return { 'x-kubernetes-preserve-unknown-fields': true };
		}
		if (depth > 14) {
			return free;
		}
		const properties = {};
		for (const [key, inner] of Object.entries(definition.properties)) {
			properties[key] = inner.ref === 'K8sIoApimachineryPkgApisMetaV1ObjectMeta'
				? (depth ? free : { type: 'object' }) : this.openApi(inner, depth + 1);
		}
		return { type: 'object', properties, ...(definition.required.length ? { required: definition.required } : {}) };
	}
}

// What both API servers serve.
const resources = [
	['kubevirt.io', 'v1', 'virtualmachines', 'VirtualMachine', 'V1VirtualMachine'],
	['kubevirt.io', 'v1', 'virtualmachineinstances', 'VirtualMachineInstance', 'V1VirtualMachineInstance'],
	['kubevirt.io', 'v1', 'virtualmachineinstancemigrations', 'VirtualMachineInstanceMigration',
		'V1VirtualMachineInstanceMigration'],
	['snapshot.kubevirt.io', 'v1beta1', 'virtualmachinesnapshots', 'VirtualMachineSnapshot',
		'V1beta1VirtualMachineSnapshot'],
	['snapshot.kubevirt.io', 'v1beta1', 'virtualmachinerestores', 'VirtualMachineRestore',
		'V1beta1VirtualMachineRestore'],
].map(([group, version, plural, kind, type]) => ({ group, version, plural, kind, type }));

// The rules of a Role in a file that is written as docs/roles/kubevirt.yaml is; anything else in its
// rules is an error. [{apiGroups, resources, verbs}]
function readRole(text, name) {
	const document = text.split(/^---$/m).find((one) => /^kind: (Cluster)?Role$/m.test(one)
		&& new RegExp(`^ {2}name: ${name}$`, 'm').test(one));
	if (!document) {
		throw new Error(`no Role named ${name}`);
	}
	const rules = [];
	for (const line of document.slice(document.search(/^rules:$/m)).split('\n').slice(1)) {
		const found = line.match(/^ {2}(- apiGroups| {2}resources| {2}verbs): \[(.*)\]$/);
		if (!found && !/^\s*(#.*)?$/.test(line)) {
			throw new Error(`a line that this reader does not know: ${line}`);
		}
		if (found) {
			const key = found[1].replace(/^[- ]*/, '');
			if (key === 'apiGroups') {
				rules.push({});
			}
			rules[rules.length - 1][key] = found[2].split(', ');
		}
	}
	return rules;
}

module.exports = { Schema, resources, readRole };
