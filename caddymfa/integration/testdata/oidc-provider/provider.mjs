// An OpenID provider for the tests: the certified implementation of
// https://github.com/panva/node-oidc-provider, with people who say how they
// signed in. Its configuration is the first line of standard input, in JSON. It
// prints "ready", and ends when standard input does.
//
//   port     where it listens, on the loopback
//   client   the metadata of its one client (OpenID Connect Dynamic Client Registration)
//   people   e-mail address to claims
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import Provider from 'oidc-provider';

const lines = createInterface({ input: process.stdin });
const { port, client, people } = JSON.parse((await lines[Symbol.asyncIterator]().next()).value);
process.stdin.on('end', () => process.exit()).resume();

const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(issuer, {
	clients: [client],
	jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }] },
	cookies: { keys: [randomUUID()] },
	acrValues: ['silver', 'gold'],
	claims: { openid: ['sub', 'amr', 'acr', 'auth_time'], email: ['email', 'email_verified'], profile: ['name'] },
	features: {
		devInteractions: { enabled: false },
		backchannelLogout: { enabled: true },
		// Its own page loads a font from elsewhere.
		rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => { ctx.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`); } },
	},
	// Its dispatcher keeps it from the loopback, where all of the test is.
	fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
	interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
	findAccount: (ctx, id) => people[id] && {
		accountId: id,
		claims: () => ({ sub: people[id].sub ?? id, email: id, email_verified: true, ...people[id] }),
	},
	// Nobody is asked whether the gate may know who they are.
	async loadExistingGrant(ctx) {
		const { session, client } = ctx.oidc;
		const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
		grant.addOIDCScope('openid email profile');
		await grant.save();
		return grant;
	},
});

for (const event of ['server_error', 'grant.error', 'backchannel.error']) {
	provider.on(event, (ctx, err) => console.error(event, err));
}

const page = (body) => `<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Company sign-in</title><main><h1>Company sign-in</h1>${body}</main></html>`;

async function interact(req, res) {
	const { uid, params } = await provider.interactionDetails(req, res);
	if (req.method === 'POST') {
		let body = '';
		for await (const chunk of req) body += chunk;
		const form = new URLSearchParams(body);
		const result = form.has('cancel') ? { error: 'access_denied', error_description: 'the person went back' } : {
			login: { accountId: form.get('login'), amr: form.get('amr').split(' ').filter(Boolean), acr: form.get('acr') || undefined },
		};
		return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
	}
	const hint = (params.login_hint ?? '').replaceAll(/[^a-z0-9@.-]/g, '');
	res.setHeader('Content-Type', 'text/html; charset=utf-8');
	res.end(page(`<form method="post" action="/interaction/${uid}">
		<input name="login" id="login" value="${hint}"><input name="amr" id="amr" value="pwd"><input name="acr" id="acr">
		<button id="sign-in">Sign in</button><button id="cancel" name="cancel" value="1">Back</button></form>`));
}

const handle = provider.callback();
createServer((req, res) => {
	if (!req.url.startsWith('/interaction/')) return handle(req, res);
	return interact(req, res).catch((err) => { res.statusCode = 500; res.end(String(err)); });
}).listen(port, '127.0.0.1', () => console.log('ready'));
