// SPDX-License-Identifier: MIT
// What tests may wish of a peer, in the same words for each: a fault is {match, times, …}, and is
// taken by the next `times` (1) requests whose key matches the regular expression. Any of
//
//   delay_ms          wait before anything is done
//   drop              'before' (nothing is done), 'after' (it is, without an answer), 'middle' (half a body)
//   status, reason    answer that instead
//   location          answer with a redirect to there
//   garbage, size     answer that text, or so many bytes, instead of the right body
//   slow_ms           send the answer byte by byte over that time
//   task_ms, …        the peer's own; see its server.js
'use strict';

class Faults {
	constructor() {
		this.list = [];
	}

	add(fault) {
		this.list.push({ times: 1, ...fault });
	}

	clear() {
		this.list = [];
	}

	take(key) {
		const fault = this.list.find((one) => one.times > 0 && new RegExp(one.match).test(key));
		if (fault) {
			fault.times--;
		}
		return fault;
	}
}

function sleep(ms) {
	return new Promise((resolve) => { setTimeout(resolve, ms); });
}

// 1: the connection is gone before anything was done.
async function begin(request, fault) {
	if (fault?.delay_ms) {
		await sleep(fault.delay_ms);
	}
	if (fault?.drop === 'before') {
		request.socket.destroy();
		return true;
	}
	return false;
}

// Sends the answer as the fault wants it. `body` is what the peer itself would say.
async function deliver(response, fault, status, reason, headers, body) {
	let text = fault?.garbage ?? body;
	if (fault?.size) {
		text = `{"data":"${'x'.repeat(fault.size)}"}`;
	}
	if (fault?.drop === 'after') {
		response.socket?.destroy();
		return;
	}
	// the reason of a refusal stands in the status line
	response.writeHead(status, reason.replace(/[^\x20-\x7e]/g, '?'),
		{ ...headers, ...(fault?.location ? { location: fault.location } : {}), 'content-length': Buffer.byteLength(text) });
	if (fault?.drop === 'middle') {
		response.write(text.slice(0, text.length / 2));
		setTimeout(() => response.socket?.destroy(), 5);
		return;
	}
	if (fault?.slow_ms) {
		for (let i = 0; i < text.length; i++) {
			response.write(text[i]);
			await sleep(fault.slow_ms / text.length);
		}
		response.end();
		return;
	}
	response.end(text);
}

// The control port: plain HTTP with JSON, for the test only. wishes: {'POST /vm': (body, query) => answer}
function control(faults, wishes) {
	return (request, response) => {
		let text = '';
		request.on('data', (chunk) => { text += chunk; });
		request.on('end', async () => {
			const [path, query] = request.url.split('?');
			const key = `${request.method} ${path}`;
			const body = text ? JSON.parse(text) : {};
			let out = {};
			if (key === 'POST /fault') {
				faults.add(body);
			} else if (key === 'POST /clear') {
				faults.clear();
			} else if (wishes[key]) {
				out = await wishes[key](body, query) ?? {};
			} else {
				out = { error: `no wish ${key}` };
			}
			response.end(JSON.stringify(out));
		});
	};
}

module.exports = { Faults, begin, deliver, control, sleep };
