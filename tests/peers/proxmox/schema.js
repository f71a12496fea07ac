// SPDX-License-Identifier: MIT
// Checks the parameters of a call against the extracted schema, with the error texts of
// PVE::JSONSchema, and the peer's own answers against the declared types of returns.
'use strict';

const formats = {
	'dns-name': [/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/,
		() => 'invalid format - value does not look like a valid DNS name\n'],
	'pve-configid': [/^[a-z][a-z0-9_-]+$/i, (value) => `invalid format - invalid configuration ID '${value}'\n`],
	'pve-storage-id': [/^[a-z][a-z0-9\-_.]*[a-z0-9]$/i,
		(value) => `invalid format - storage ID '${value}' contains illegal characters\n`],
	'pve-node': [/^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/,
		() => 'invalid format - value does not look like a valid node name\n'],
};

// "local-lvm:8,import-from=…": a property string, whose own schema is the format.
function checkPropertyString(schema, value) {
	const errors = [];
	const seen = {};
	for (const part of value.split(',')) {
		let [, key, text] = part.match(/^([^=]+)=(.*)$/) || [];
		if (key === undefined) {
			key = Object.keys(schema).find((name) => schema[name].default_key);
			text = part;
		}
		while (schema[key] && schema[key].alias) {
			key = schema[key].alias;
		}
		// network models are written as keys: virtio=MAC
		if (key !== undefined && schema[key] && schema[key].keyAlias) {
			key = schema[key].keyAlias;
		}
		if (key === undefined || !schema[key]) {
			errors.push(`invalid format - format error\n${part}: property is not defined in schema`);
		} else if (seen[key]) {
			errors.push(`invalid format - duplicate key in comma-separated list property: ${key}`);
		} else {
			seen[key] = true;
			const error = checkText({ ...schema[key], integer: schema[key].type === 'integer',
				type: schema[key].type === 'integer' ? 'number' : schema[key].type }, text);
			if (error) {
				errors.push(`invalid format - format error\n${key}: ${error}`);
			}
		}
	}
	for (const [key, property] of Object.entries(schema)) {
		if (!property.optional && !property.alias && !property.keyAlias && !seen[key]) {
			errors.push(`invalid format - format error\n${key}: property is missing and it is not optional`);
		}
	}
	return errors[0];
}

function checkText(schema, value) {
	if (schema.enum && !schema.enum.includes(value)) {
		return `value '${value}' does not have a value in the enumeration '${schema.enum.join(', ')}'`;
	}
	// Proxmox also takes on, yes, true …: ours has to send what the documentation says.
	if (schema.type === 'boolean' && !/^[01]$/.test(value)) {
		return `type check ('boolean') failed - got '${value}'`;
	}
	if (schema.type === 'number') {
		const pattern = schema.integer ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
		if (!pattern.test(value)) {
			return `type check ('${schema.integer ? 'integer' : 'number'}') failed - got '${value}'`;
		}
		if (schema.minimum !== undefined && Number(value) < schema.minimum) {
			return `value must have a minimum value of ${schema.minimum}`;
		}
		if (schema.maximum !== undefined && Number(value) > schema.maximum) {
			return `value must have a maximum value of ${schema.maximum}`;
		}
	}
	if (schema.type === 'string') {
		if (schema.maxLength !== undefined && value.length > schema.maxLength) {
			return `value may only be ${schema.maxLength} characters long`;
		}
		if (schema.pattern && !new RegExp(schema.pattern.replace(/\(\?\^:/g, '(?:')).test(value)) {
			return 'value does not match the regex pattern';
		}
		if (schema.format && schema.format.startsWith('{')) {
			return checkPropertyString(JSON.parse(schema.format), value);
		}
		const known = formats[schema.format];
		if (known && !known[0].test(value)) {
			return known[1](value);
		}
	}
	return undefined;
}

// `given`: Map of name → list of texts. Returns {errors, values}.
function checkParameters(schema, given) {
	const errors = {};
	const values = {};
	for (const [name, texts] of given) {
		const property = schema.properties[name];
		if (!property) {
			errors[name] = 'property is not defined in schema and the schema does not allow additional properties';
		} else if (property.type === 'array') {
			values[name] = texts;
		} else if (texts.length > 1) {
			errors[name] = "type check ('string') failed - got 'ARRAY'";
		} else {
			const error = property.anyOf && !property.type
				? undefined : checkText(property, texts[0]);
			if (error) {
				errors[name] = error;
			} else {
				values[name] = property.type === 'number' ? Number(texts[0])
					: property.type === 'boolean' ? texts[0] === '1' : texts[0];
			}
		}
	}
	for (const name of schema.required) {
		if (!given.has(name)) {
			errors[name] = 'property is missing and it is not optional';
		}
	}
	return { errors, values };
}

// The first place where an answer of ours is not what the types declare, or null.
function checkAnswer(schema, value, where) {
	if (!schema || (!schema.type && !schema.enum)) {
		return null;
	}
	if (schema.enum) {
		return schema.enum.includes(String(value)) ? null : `${where}: '${value}' is not in the enumeration`;
	}
	if (schema.type === 'array') {
		if (!Array.isArray(value)) {
			return `${where}: not an array`;
		}
		return value.map((one, i) => checkAnswer(schema.items, one, `${where}[${i}]`)).find(Boolean) || null;
	}
	if (schema.type === 'object') {
		if (value === null || typeof value !== 'object') {
			return `${where}: not an object`;
		}
		for (const name of schema.required) {
			if (value[name] === undefined) {
				return `${where}.${name}: missing`;
			}
		}
		return Object.keys(value).map((name) => checkAnswer(schema.properties[name], value[name],
			`${where}.${name}`)).find(Boolean) || null;
	}
	if (schema.type === 'null') {
		return value === null ? null : `${where}: not null`;
	}
	if (schema.type === 'boolean') { // Perl has none: 0 and 1
		return value === 0 || value === 1 || typeof value === 'boolean' ? null : `${where}: not a boolean`;
	}
	return typeof value === schema.type ? null : `${where}: not a ${schema.type}`;
}

// "/nodes/{node}/qemu/{vmid}" of each method, as a tree to look paths up in.
class Calls {
	constructor(endpoints) {
		this.byMethod = {};
		for (const [key, endpoint] of Object.entries(endpoints)) {
			const [method, template] = key.split(' ');
			(this.byMethod[method] ||= []).push({ key, template, parts: template.split('/'), endpoint });
		}
	}

	find(method, path) {
		const parts = path.split('/');
		const fits = (this.byMethod[method] || []).filter((call) => call.parts.length === parts.length
			&& call.parts.every((part, i) => part === parts[i] || (part.startsWith('{') && parts[i])));
		// a literal part wins over a parameter
		fits.sort((a, b) => a.parts.filter((p) => p[0] === '{').length - b.parts.filter((p) => p[0] === '{').length);
		if (!fits.length) {
			return null;
		}
		const variables = {};
		fits[0].parts.forEach((part, i) => {
			if (part.startsWith('{')) {
				variables[part.slice(1, -1)] = decodeURIComponent(parts[i]);
			}
		});
		return { ...fits[0], variables };
	}
}

module.exports = { Calls, checkParameters, checkAnswer, formats };
