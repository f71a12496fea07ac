// SPDX-License-Identifier: MIT
// Extracts the schema of the Proxmox VE API from the TypeScript types of npm's proxmox-api, which are
// generated from Proxmox's own API description: for each call its parameters (type, enum, range,
// length, pattern, required), the type of its answer and the privileges that it needs. Runs when the
// tests are installed; its output stays in the build directory and is never committed.
//
//   node extract.js DIRECTORY-WITH-node_modules OUTPUT.json
'use strict';
const fs = require('fs');
const path = require('path');

const [, , root, output] = process.argv;
if (!output) {
	console.error('usage: extract.js DIRECTORY OUTPUT.json');
	process.exit(2);
}
const modules = path.join(path.resolve(root), 'node_modules');
const ts = require(path.join(modules, 'typescript'));
const file = path.join(modules, 'proxmox-api/esm/model.d.ts');
const program = ts.createProgram([file], { strict: true, types: [] });
const checker = program.getTypeChecker();

const tagText = (tag) => (tag.text || []).map((part) => part.text).join('').trim();

// Constraints are written as JSDoc tags, on the property itself or on the alias that it names.
function constraints(symbol) {
	const found = {};
	const read = (from) => {
		for (const tag of from.getJsDocTags(checker)) {
			const text = tagText(tag);
			if (['minimum', 'maximum', 'maxLength', 'minLength'].includes(tag.name)) {
				found[tag.name] = Number(text);
			} else if (['pattern', 'format'].includes(tag.name)) {
				found[tag.name] = text;
			} else if (tag.name === 'type' && text === 'integer') {
				found.integer = true;
			}
		}
	};
	const declaration = symbol.valueDeclaration;
	if (declaration && declaration.type && ts.isTypeReferenceNode(declaration.type)) {
		const alias = checker.getSymbolAtLocation(declaration.type.typeName);
		if (alias) {
			read(alias);
		}
	}
	read(symbol);
	return found;
}

function shape(type, depth) {
	if (depth > 6) {
		return {};
	}
	if (type.isUnion()) {
		const parts = type.types.filter((part) => !(part.flags & ts.TypeFlags.Undefined));
		if (parts.every((part) => part.isStringLiteral())) {
			return { enum: parts.map((part) => part.value) };
		}
		if (parts.every((part) => part.flags & ts.TypeFlags.BooleanLiteral)) {
			return { type: 'boolean' };
		}
		return parts.length === 1 ? shape(parts[0], depth + 1)
			: { anyOf: parts.map((part) => shape(part, depth + 1)) };
	}
	if (type.isStringLiteral()) {
		return { enum: [type.value] };
	}
	const simple = [[ts.TypeFlags.String, 'string'], [ts.TypeFlags.Number, 'number'],
		[ts.TypeFlags.Boolean, 'boolean'], [ts.TypeFlags.Null, 'null']];
	for (const [flag, name] of simple) {
		if (type.flags & flag) {
			return { type: name };
		}
	}
	if (checker.isArrayType(type)) {
		return { type: 'array', items: shape(checker.getTypeArguments(type)[0], depth + 1) };
	}
	if (type.flags & ts.TypeFlags.Object) {
		const properties = {};
		const required = [];
		for (const symbol of type.getProperties()) {
			properties[symbol.name] = {
				...shape(checker.getTypeOfSymbol(symbol), depth + 1), ...constraints(symbol),
			};
			if (!(symbol.flags & ts.SymbolFlags.Optional)) {
				required.push(symbol.name);
			}
		}
		return { type: 'object', properties, required, open: Boolean(type.getStringIndexType()) };
	}
	return {};
}

function comment(node) {
	return ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc)
		.map((doc) => ts.getTextOfJSDocComment(doc.comment) || '').join('\n');
}

function permission(node) {
	for (const tag of ts.getJSDocTags(node)) {
		if (tag.tagName.text === 'permissions') {
			try {
				return JSON.parse(ts.getTextOfJSDocComment(tag.comment));
			} catch {
				return { unreadable: true };
			}
		}
	}
	return null;
}

const endpoints = {};
function walk(node) {
	if (ts.isMethodSignature(node) && ts.isIdentifier(node.name) && node.name.text.startsWith('$')) {
		const call = comment(node).replace(/\\/g, '').match(/\b(GET|PUT|POST|DELETE) (\/\S*)/);
		if (call) {
			const signature = checker.getSignatureFromDeclaration(node);
			const [parameter] = signature.getParameters();
			const promise = checker.getReturnTypeOfSignature(signature);
			const params = parameter
				? shape(checker.getNonNullableType(checker.getTypeOfSymbol(parameter)), 0)
				: { type: 'object', properties: {}, required: [], open: false };
			endpoints[`${call[1]} ${call[2]}`] = {
				params, returns: shape(checker.getTypeArguments(promise)[0], 0),
				permission: permission(node),
			};
		}
	}
	ts.forEachChild(node, walk);
}
walk(program.getSourceFile(file));

const count = Object.keys(endpoints).length;
if (count < 500) {
	console.error(`only ${count} calls found in ${file}: the types have changed their form`);
	process.exit(1);
}
const version = JSON.parse(fs.readFileSync(path.join(modules, 'proxmox-api/package.json'))).version;
fs.writeFileSync(output, JSON.stringify({ source: `proxmox-api ${version}`, endpoints }));
