// A partner's side of hub-event+jwe v1 with nothing but a JDK (17 or newer), for tests/integration/test_envelope_foreign.py.
// `open <vectors>`: opens every golden file, one tab-separated line each. `seal`: seals one event from stdin, prints the envelope.

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.*;
import java.security.interfaces.ECPublicKey;
import java.security.spec.*;
import java.util.*;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

public final class Envelope {
    static final String ALG = "ECDH-ES+A256KW";
    static final Map<String, Object> HEADER = Map.of("cty", "hub-event+jws", "enc", "A256GCM", "typ", "hub-event+jwe");

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("open")) openAll(Path.of(arguments[1]));
        else System.out.print(seal(object(read(System.in.readAllBytes()))));
    }

    static void openAll(Path folder) throws Exception {
        Map<String, Object> keys = object(read(Files.readAllBytes(folder.resolve("keys.json"))));
        for (Object item : (List<?>) read(Files.readAllBytes(folder.resolve("cases.json")))) {
            Map<String, Object> wanted = object(item);
            String answer;
            try {
                byte[] value = Files.readAllBytes(folder.resolve((String) wanted.get("file")));
                answer = "opened\t" + b64(open(value, (String) wanted.get("me"), keys));
            } catch (GeneralSecurityException | RuntimeException refused) {
                answer = "refused\t" + refused.getClass().getSimpleName();
            }
            System.out.println(wanted.get("file") + "\t" + answer);
        }
    }

    static byte[] open(byte[] value, String me, Map<String, Object> keys) throws GeneralSecurityException {
        Map<String, Object> jwe = object(read(value));
        must(jwe.keySet().equals(Set.of("protected", "aad", "iv", "ciphertext", "tag", "recipients")));
        Map<String, Object> shared = object(read(bytes(jwe.get("protected"))));
        Map<String, Object> clear = object(read(bytes(jwe.get("aad"))));
        HEADER.forEach((name, expected) -> must(expected.equals(shared.remove(name))));
        List<?> entries = (List<?>) jwe.get("recipients");
        must(entries.size() == ((List<?>) clear.get("to")).size() && (shared.isEmpty() || entries.size() == 1));
        Map<String, Object> own = jwk(keys, "opening", "owner", me);
        byte[] cek = null;
        for (Object item : entries) {
            Map<String, Object> header = new HashMap<>(object(object(item).get("header")));
            shared.forEach((name, member) -> must(header.put(name, member) == null));
            if (!own.get("kid").equals(header.get("kid"))) continue;
            must(cek == null && header.keySet().equals(Set.of("alg", "kid", "epk")) && ALG.equals(header.get("alg")));
            KeyAgreement agreement = KeyAgreement.getInstance("ECDH");
            agreement.init(privateKey(own));
            agreement.doPhase(publicKey(object(header.get("epk"))), true);
            Cipher unwrap = Cipher.getInstance("AESWrap");
            unwrap.init(Cipher.UNWRAP_MODE, kdf(agreement.generateSecret()));
            cek = unwrap.unwrap(bytes(object(item).get("encrypted_key")), "AES", Cipher.SECRET_KEY).getEncoded();
        }
        must(cek != null && cek.length == 32);
        Cipher gcm = Cipher.getInstance("AES/GCM/NoPadding");
        gcm.init(Cipher.DECRYPT_MODE, new SecretKeySpec(cek, "AES"), new GCMParameterSpec(128, bytes(jwe.get("iv"))));
        gcm.updateAAD(ascii(jwe.get("protected") + "." + jwe.get("aad")));
        byte[] jws = gcm.doFinal(join(bytes(jwe.get("ciphertext")), bytes(jwe.get("tag"))));
        must(b64(sha256(jws)).equals(clear.get("pd")));
        return verify(new String(jws, StandardCharsets.US_ASCII), clear, me, keys);
    }

    static byte[] verify(String jws, Map<String, Object> clear, String me, Map<String, Object> keys) throws GeneralSecurityException {
        String[] parts = jws.split("\\.", -1);
        Map<String, Object> header = object(read(bytes(parts[0])));
        must(parts.length == 3 && "ES256".equals(header.get("alg")) && "hub-event+jws".equals(header.get("typ")) && header.size() == 3);
        Map<String, Object> signer = entry(keys, "verification", known -> object(known.get("jwk")).get("kid").equals(header.get("kid")));
        must(!signer.get("status").equals("revoked"));
        Signature check = Signature.getInstance("SHA256withECDSAinP1363Format");
        check.initVerify(publicKey(object(signer.get("jwk"))));
        check.update(ascii(parts[0] + "." + parts[1]));
        must(check.verify(bytes(parts[2])));
        byte[] payload = bytes(parts[1]);
        Map<String, Object> claims = object(read(payload));
        must(claims.keySet().equals(Set.of("iss", "jti", "iat", "aud", "type", "version", "stream", "seq", "salt", "data", "pad")));
        must(bytes(claims.get("salt")).length >= 16);
        must(claims.get("iss").equals(signer.get("owner")) && claims.get("iss").equals(clear.get("source")));
        must(claims.get("jti").equals(clear.get("id")) && claims.get("aud").equals(clear.get("to")));
        must(claims.get("stream").equals(clear.get("stream")) && claims.get("seq") instanceof BigInteger && claims.get("seq").equals(clear.get("seq")));
        must(((List<?>) claims.get("aud")).contains(me));
        return payload;
    }

    static String seal(Map<String, Object> asked) throws GeneralSecurityException {
        Map<String, Object> claims = object(asked.get("claims"));
        Map<String, Object> signing = object(asked.get("signing"));
        SecureRandom random = new SecureRandom();
        byte[] salt = new byte[16], iv = new byte[12], cek = new byte[32];
        for (byte[] fresh : List.of(salt, iv, cek)) random.nextBytes(fresh);
        claims.put("salt", b64(salt));
        claims.put("pad", "0".repeat(500));
        Map<String, Object> head = Map.of("alg", "ES256", "kid", signing.get("kid"), "typ", "hub-event+jws");
        String signed = b64(utf8(write(head))) + "." + b64(utf8(write(claims)));
        Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
        signature.initSign(privateKey(signing));
        signature.update(ascii(signed));
        byte[] jws = ascii(signed + "." + b64(signature.sign()));
        Map<String, Object> clear = new LinkedHashMap<>(Map.of("type", "hub.sealed.v1", "pd", b64(sha256(jws))));
        Map.of("id", "jti", "source", "iss", "to", "aud", "stream", "stream", "seq", "seq").forEach((name, claim) -> clear.put(name, claims.get(claim)));
        String header = b64(utf8(write(HEADER))), aad = b64(utf8(write(clear)));
        List<Object> entries = new ArrayList<>();
        for (Object item : (List<?>) asked.get("recipients")) {
            Map<String, Object> jwk = object(item);
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec("secp256r1"));
            KeyPair ephemeral = generator.generateKeyPair();
            KeyAgreement agreement = KeyAgreement.getInstance("ECDH");
            agreement.init(ephemeral.getPrivate());
            agreement.doPhase(publicKey(jwk), true);
            Cipher wrap = Cipher.getInstance("AESWrap");
            wrap.init(Cipher.WRAP_MODE, kdf(agreement.generateSecret()));
            ECPoint point = ((ECPublicKey) ephemeral.getPublic()).getW();
            Map<String, Object> epk = Map.of("kty", "EC", "crv", "P-256", "x", coordinate(point.getAffineX()), "y", coordinate(point.getAffineY()));
            String wrapped = b64(wrap.wrap(new SecretKeySpec(cek, "AES")));
            entries.add(Map.of("header", Map.of("alg", ALG, "kid", jwk.get("kid"), "epk", epk), "encrypted_key", wrapped));
        }
        Cipher gcm = Cipher.getInstance("AES/GCM/NoPadding");
        gcm.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(cek, "AES"), new GCMParameterSpec(128, iv));
        gcm.updateAAD(ascii(header + "." + aad));
        byte[] sealed = gcm.doFinal(jws);
        int end = sealed.length - 16;
        return write(Map.of("protected", header, "aad", aad, "iv", b64(iv), "recipients", entries,
            "ciphertext", b64(Arrays.copyOf(sealed, end)), "tag", b64(Arrays.copyOfRange(sealed, end, sealed.length))));
    }

    // Keys

    static SecretKeySpec kdf(byte[] shared) throws GeneralSecurityException {  // RFC 7518 section 4.6.2
        byte[] name = ascii(ALG);
        ByteBuffer info = ByteBuffer.allocate(4 + shared.length + 4 + name.length + 12);
        info.putInt(1).put(shared).putInt(name.length).put(name).putInt(0).putInt(0).putInt(256);
        return new SecretKeySpec(sha256(info.array()), "AES");
    }

    static ECParameterSpec p256() throws GeneralSecurityException {
        AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
        parameters.init(new ECGenParameterSpec("secp256r1"));
        return parameters.getParameterSpec(ECParameterSpec.class);
    }

    static PublicKey publicKey(Map<String, Object> jwk) throws GeneralSecurityException {
        must("EC".equals(jwk.get("kty")) && "P-256".equals(jwk.get("crv")));
        BigInteger x = new BigInteger(1, bytes(jwk.get("x"))), y = new BigInteger(1, bytes(jwk.get("y")));
        BigInteger p = ((ECFieldFp) p256().getCurve().getField()).getP();
        BigInteger right = x.pow(3).add(p256().getCurve().getA().multiply(x)).add(p256().getCurve().getB());
        must(y.pow(2).mod(p).equals(right.mod(p)));  // not every JDK checks that the point is on the curve
        return KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(new ECPoint(x, y), p256()));
    }

    static PrivateKey privateKey(Map<String, Object> jwk) throws GeneralSecurityException {
        return KeyFactory.getInstance("EC").generatePrivate(new ECPrivateKeySpec(new BigInteger(1, bytes(jwk.get("d"))), p256()));
    }

    static String coordinate(BigInteger number) {
        byte[] octets = new byte[32], found = number.toByteArray();
        int length = Math.min(found.length, 32);
        System.arraycopy(found, found.length - length, octets, 32 - length, length);
        return b64(octets);
    }

    static Map<String, Object> jwk(Map<String, Object> keys, String kind, String name, Object value) {
        return object(entry(keys, kind, known -> known.get(name).equals(value)).get("jwk"));
    }

    static Map<String, Object> entry(Map<String, Object> keys, String kind, java.util.function.Predicate<Map<String, Object>> wanted) {
        return ((List<?>) keys.get(kind)).stream().map(Envelope::object).filter(wanted).findFirst().orElseThrow();
    }

    // Octets

    static void must(boolean condition) {
        if (!condition) throw new IllegalArgumentException();
    }

    static byte[] sha256(byte[] data) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(data);
    }

    static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static byte[] join(byte[] one, byte[] two) {
        return ByteBuffer.allocate(one.length + two.length).put(one).put(two).array();
    }

    static String b64(byte[] data) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(data);
    }

    static byte[] bytes(Object text) {
        byte[] data = Base64.getUrlDecoder().decode((String) text);
        must(b64(data).equals(text));
        return data;
    }

    // JSON: objects, arrays, strings, whole numbers, literals; duplicate keys are refused

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(Object value) {
        return (Map<String, Object>) Objects.requireNonNull(value);
    }

    static Object read(byte[] data) {
        try {
            var decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT);
            return new Reader(decoder.decode(ByteBuffer.wrap(data)).toString()).whole();
        } catch (java.nio.charset.CharacterCodingException notUtf8) {
            throw new IllegalArgumentException();
        }
    }

    static String write(Object value) {
        StringJoiner parts = new StringJoiner(",");
        if (value instanceof Map<?, ?> map) {
            map.forEach((name, item) -> parts.add(write(name) + ":" + write(item)));
            return "{" + parts + "}";
        }
        if (value instanceof List<?> list) {
            list.forEach(item -> parts.add(write(item)));
            return "[" + parts + "]";
        }
        if (!(value instanceof String text)) return String.valueOf(value);
        StringBuilder quoted = new StringBuilder("\"");
        for (char next : text.toCharArray()) {
            if (next == '"' || next == '\\') quoted.append('\\').append(next);
            else if (next < ' ') quoted.append(String.format("\\u%04x", (int) next));
            else quoted.append(next);
        }
        return quoted.append('"').toString();
    }

    static final class Reader {
        final String text;
        int at = 0;

        Reader(String text) {
            this.text = text;
        }

        Object whole() {
            Object value = value();
            must(skip() == text.length());
            return value;
        }

        int skip() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
            return at;
        }

        boolean took(char wanted) {
            if (skip() < text.length() && text.charAt(at) == wanted) at++;
            else return false;
            return true;
        }

        Object value() {
            if (took('{')) return map();
            if (took('[')) return list();
            if (took('"')) return string();
            int start = skip();
            while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(start, at);
            return switch (word) {
                case "null" -> null;
                case "true" -> true;
                case "false" -> false;
                default -> new BigInteger(word);
            };
        }

        Map<String, Object> map() {
            Map<String, Object> found = new LinkedHashMap<>();
            if (took('}')) return found;
            do {
                must(took('"'));
                String name = string();
                must(took(':') && !found.containsKey(name));
                found.put(name, value());
            } while (took(','));
            must(took('}'));
            return found;
        }

        List<Object> list() {
            List<Object> found = new ArrayList<>();
            if (took(']')) return found;
            do found.add(value()); while (took(','));
            must(took(']'));
            return found;
        }

        String string() {
            StringBuilder found = new StringBuilder();
            for (char next; (next = text.charAt(at++)) != '"'; ) {
                must(next >= ' ');
                if (next != '\\') found.append(next);
                else if ((next = text.charAt(at++)) == 'u') found.append((char) Integer.parseInt(text.substring(at, at += 4), 16));
                else found.append("bfnrt".indexOf(next) < 0 ? next : "\b\f\n\r\t".charAt("bfnrt".indexOf(next)));
            }
            return found.toString();
        }
    }
}
