// A partner's side of hub-event+jwe v1 on npm `jose`, for tests/integration/test_envelope_foreign.py.
// `open <vectors>`: opens every golden file, one JSON line each. `seal <keys>`: seals one event from stdin, prints the envelope.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";

const [modules, verb, folder] = process.argv.slice(2);
const jose = createRequire(join(modules, "any.js"))("jose");
const { encode, decode } = jose.base64url;
const text = (octets) => new TextDecoder("utf-8", { fatal: true }).decode(octets);
const json = (part) => JSON.parse(text(decode(part)));
const JWE = { cty: "hub-event+jws", enc: "A256GCM", typ: "hub-event+jwe" };
const CLAIMS = ["aud", "data", "iat", "iss", "jti", "pad", "salt", "seq", "stream", "type", "version"];
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function must(condition, code) {
  if (!condition) throw new Error(code);
}

async function open(value, me, opening, verification) {
  const jwe = JSON.parse(text(value));
  must(jwe.protected && jwe.aad && Array.isArray(jwe.recipients), "malformed");
  const header = json(jwe.protected);
  must(header.zip === undefined && header.enc === JWE.enc && header.typ === JWE.typ && header.cty === JWE.cty, "header");
  const clear = json(jwe.aad);
  const own = jwe.recipients.filter((entry) => (entry.header?.kid ?? header.kid) === opening.kid);
  must(own.length === 1 && jwe.recipients.length === clear.to.length, "not for us");
  const alone = { ...jwe, recipients: own };
  const key = await jose.importJWK(opening, "ECDH-ES+A256KW");
  const { plaintext } = await jose.generalDecrypt(alone, key, {
    keyManagementAlgorithms: ["ECDH-ES+A256KW"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  must(createHash("sha256").update(plaintext).digest("base64url") === clear.pd, "digest");
  let owner;
  const { payload, protectedHeader } = await jose.compactVerify(
    plaintext,
    async (found) => {
      const known = verification.find((entry) => entry.jwk.kid === found.kid);
      must(known && known.status !== "revoked", "key");
      owner = known.owner;
      return jose.importJWK(known.jwk, "ES256");
    },
    { algorithms: ["ES256"] },
  );
  must(protectedHeader.typ === "hub-event+jws", "typ");
  const claims = JSON.parse(text(payload));
  must(same(Object.keys(claims).sort(), CLAIMS) && Number.isSafeInteger(claims.seq) && decode(claims.salt).length >= 16, "claims");
  must(claims.iss === owner && claims.iss === clear.source && claims.jti === clear.id, "source or id");
  must(same(claims.aud, clear.to) && claims.stream === clear.stream && claims.seq === clear.seq, "audience or stream");
  must(claims.aud.includes(me), "recipient");
  return claims;
}

async function openAll() {
  const keys = JSON.parse(readFileSync(join(folder, "keys.json"), "utf8"));
  for (const { file, me } of JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"))) {
    const own = keys.opening.find((entry) => entry.owner === me).jwk;
    const line = await open(readFileSync(join(folder, file)), me, own, keys.verification).then(
      ({ pad, salt, ...claims }) => ({ file, claims }),
      (error) => ({ file, refused: error.code ?? error.message }),
    );
    console.log(JSON.stringify(line));
  }
}

async function seal() {
  const { claims, signing, recipients } = JSON.parse(readFileSync(0, "utf8"));
  const statement = { ...claims, salt: encode(randomBytes(16)), pad: "0".repeat(500) };
  const jws = await new jose.CompactSign(new TextEncoder().encode(JSON.stringify(statement)))
    .setProtectedHeader({ alg: "ES256", kid: signing.kid, typ: "hub-event+jws" })
    .sign(await jose.importJWK(signing, "ES256"));
  const pd = createHash("sha256").update(jws).digest("base64url");
  const { iss: source, jti: id, aud: to, stream, seq } = claims;
  const clear = { id, type: "hub.sealed.v1", source, to, stream, seq, pd };
  const sealing = new jose.GeneralEncrypt(new TextEncoder().encode(jws))
    .setProtectedHeader(JWE)
    .setAdditionalAuthenticatedData(new TextEncoder().encode(JSON.stringify(clear)));
  for (const jwk of recipients) {
    sealing.addRecipient(await jose.importJWK(jwk, jwk.alg)).setUnprotectedHeader({ alg: jwk.alg, kid: jwk.kid });
  }
  process.stdout.write(JSON.stringify(await sealing.encrypt()));
}

await (verb === "open" ? openAll() : seal());
