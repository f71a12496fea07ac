// SPDX-License-Identifier: MIT
// Schema of KubeVirt's objects from the TypeScript interfaces of npm @kubevirt-ui/kubevirt-api, which
// are generated from KubeVirt's own OpenAPI description. They are regular enough for a few patterns.
//
//   node types.js DIRECTORY-WITH-NODE_MODULES SCHEMA.json
'use strict';
const fs = require('fs');
const path = require('path');

const [, , directory, out] = process.argv;
const packages = path.join(directory, 'node_modules/@kubevirt-ui/kubevirt-api');
const models = [path.join(packages, 'kubevirt/models')];
const roots = ['V1VirtualMachine', 'V1VirtualMachineInstance', 'V1VirtualMachineInstanceMigration',
	'V1beta1VirtualMachineSnapshot', 'V1beta1VirtualMachineRestore', 'K8sIoApimachineryPkgApisMetaV1DeleteOptions'];
const definitions = {};

function readType(text) {
	const type = text.trim().replace(/\s+/g, ' ');
	let found;
	if ((found = type.match(/^Array<(.*)>$/))) {
		return { array: readType(found[1]) };
	}
	if ((found = type.match(/^\{ \[key: string\]: (.*?);? \}$/))) {
		return { map: readType(found[1]) };
	}
	if (['string', 'number', 'boolean'].includes(type)) {
		return { type };
	}
	if (['any', 'object', 'unknown'].includes(type)) {
		return { type: 'any' };
	}
	if (/Enum$/.test(type)) {
		return { type: 'string' };
	}
	if (/^\w+$/.test(type)) {
		define(type);
		return { ref: type };
	}
	throw new Error(`a type that is not expected: ${type}`);
}

function define(name) {
	if (definitions[name] !== undefined) {
		return;
	}
	const file = models.map((one) => path.join(one, `${name}.ts`)).find((one) => fs.existsSync(one));
	definitions[name] = { properties: {}, required: [] };
	if (!file) {
		throw new Error(`no file for the type ${name}`);
	}
	const text = fs.readFileSync(file, 'utf8').replace(/\/\*\*[\s\S]*?\*\//g, '');
	const body = text.match(/export interface \w+ \{\n([\s\S]*?)\n\}/);
	if (!body) { // an enumeration, or an intersection
		definitions[name] = { any: true };
		return;
	}
	for (const [, key, optional, type] of body[1].matchAll(/^ {2}'?([\w-]+)'?(\??): ([\s\S]*?);$/gm)) {
		definitions[name].properties[key] = readType(type);
		if (!optional) {
			definitions[name].required.push(key);
		}
	}
}

roots.forEach(define);
// quantities are texts or numbers, ports as well
for (const [name, one] of Object.entries(definitions)) {
	if (/Quantity|IntOrString/.test(name)) {
		definitions[name] = { any: true };
	} else if (one.properties && Object.keys(one.properties).length === 0) {
		one.empty = true;
	}
}
fs.writeFileSync(out, JSON.stringify({ definitions }));
