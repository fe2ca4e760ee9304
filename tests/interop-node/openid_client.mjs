// A relying party on npm openid-client, for tests/integration/test_openid_client.py: signs a person in, calls, refreshes, revokes.
// Reads {issuer, client, key, callback, person, resource, other} from stdin, prints one JSON object of what it saw.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { webcrypto } from "node:crypto";

const [modules] = process.argv.slice(2);
const find = createRequire(join(modules, "any.js"));
const client = await import(pathToFileURL(find.resolve("openid-client")));
const asked = JSON.parse(readFileSync(0, "utf8"));
const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const { use, alg, ...jwk } = asked.key;
const key = { key: await webcrypto.subtle.importKey("jwk", jwk, algorithm, false, ["sign"]), kid: asked.key.kid };
const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
const config = await client.discovery(new URL(asked.issuer), asked.client, undefined, client.PrivateKeyJwt(key), options);
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
const code_verifier = client.randomPKCECodeVerifier();
const code_challenge = await client.calculatePKCECodeChallenge(code_verifier);
const state = client.randomState();
const refusal = async (attempt) => { try { await attempt(); return "accepted"; } catch (error) { return error.error ?? error.cause?.error ?? error.code; } };

async function signIn() {
  const parameters = { redirect_uri: asked.callback, scope: "case.read directory.read", code_challenge, code_challenge_method: "S256", state };
  const place = await client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP });
  const page = await fetch(place);
  const body = new URLSearchParams({ client_id: asked.client, request_uri: place.searchParams.get("request_uri"), person: asked.person });
  const click = await fetch(new URL(place.pathname, place), { method: "POST", body, redirect: "manual", headers: { Origin: place.origin } });
  return { page: page.status, click: click.status, back: new URL(click.headers.get("location")) };
}

const checks = { pkceCodeVerifier: code_verifier, expectedState: state };
const { page, click, back } = await signIn();
const tokens = await client.authorizationCodeGrant(config, back, checks, { resource: asked.resource }, { DPoP });
const me = await client.fetchProtectedResource(config, tokens.access_token, new URL(`${asked.issuer}/v1/me`), "GET", undefined, undefined, { DPoP });
const next = await client.refreshTokenGrant(config, tokens.refresh_token, { resource: asked.other }, { DPoP });
const before = await client.tokenIntrospection(config, tokens.access_token);
const stolen = await refusal(() => client.refreshTokenGrant(config, tokens.refresh_token, { resource: asked.other }, { DPoP: thief }));
await client.tokenRevocation(config, tokens.refresh_token);
const after = await client.tokenIntrospection(config, tokens.access_token);
const again = await signIn();
const otherIssuer = new URL(again.back);
otherIssuer.searchParams.set("iss", "http://mallory.example.org");
const mixedUp = await refusal(() => client.authorizationCodeGrant(config, otherIssuer, checks, { resource: asked.resource }, { DPoP }));
const otherKey = await refusal(() => client.authorizationCodeGrant(config, again.back, checks, { resource: asked.resource }, { DPoP: thief }));
const third = await signIn();
await client.authorizationCodeGrant(config, third.back, checks, { resource: asked.resource }, { DPoP });
const replay = await refusal(() => client.authorizationCodeGrant(config, third.back, checks, { resource: asked.resource }, { DPoP }));
console.log(JSON.stringify({
  page, click, type: tokens.token_type, expires: tokens.expires_in, scope: tokens.scope, me: [me.status, (await me.json()).name],
  refreshed: JSON.parse(Buffer.from(next.access_token.split(".")[1], "base64url")).aud, rotated: next.refresh_token ?? null,
  stolen, before: before.active, after: after.active, mixedUp, otherKey, replay,
}));
