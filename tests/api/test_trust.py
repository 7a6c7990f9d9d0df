"""The signature policy: images of a real registry, signed here by openssl, pulled and run through the built
programs; what coffer signs is read by openssl, skopeo and the engine."""
import base64
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from support.engine import BIN, Engine
from support.own_registry import ask, fetch, put_manifest
from support.registry import CONFIG, MANIFEST, Layout, LyingRegistry, Registry, busybox_rootfs, digest_of, tar_of

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"


def setUpModule():
    global engine, registry, scratch, policy, layout, good, other
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-trust-"))
    policy = scratch / "policy.json"
    write()
    engine = Engine("--signature-policy", policy)
    registry = Registry()
    good, other = Key("good"), Key("other")
    layout = Layout(scratch / "layout")
    layout.tag("one", layout.manifest([busybox_rootfs()]))
    layout.tag("two", layout.manifest([tar_of({"two": b"2"})]))
    layout.tag("index", layout.index({"linux/amd64": layout.manifest([tar_of({"amd": b""})]),
                                      "linux/arm64": layout.manifest([tar_of({"arm": b""})], architecture="arm64")}))


def tearDownModule():
    engine.close()
    registry.close()
    shutil.rmtree(scratch, ignore_errors=True)


def write(docker=None, default="insecureAcceptAnything"):
    policy.write_text(json.dumps({"default": [{"type": default}], "transports": {"docker": docker or {}}}))


def signed_by(key, identity=None, **more):
    return [{"type": "sigstoreSigned", "keyPath": str(key.public),
             **({"signedIdentity": identity} if identity else {}), **more}]


class Key:
    def __init__(self, name, algorithm="EC", option="ec_paramgen_curve:P-256", sign_options=()):
        self.sign_options = sign_options
        self.private, self.public = scratch / f"{name}.key", scratch / f"{name}.pub"
        self.raw = algorithm == "ED25519"
        subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, "-out", self.private,
                        *(["-pkeyopt", option] if option else [])], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout", "-out", self.public], check=True)

    def sign(self, payload):
        (scratch / "payload").write_bytes(payload)
        command = ["pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", scratch / "payload"] if self.raw \
            else ["dgst", "-sha256", "-sign", self.private, *self.sign_options, scratch / "payload"]
        return subprocess.run(["openssl", *command], check=True, capture_output=True).stdout

    def verifies(self, payload, signature):
        (scratch / "payload").write_bytes(payload)
        (scratch / "signature").write_bytes(signature)
        return subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature",
                               scratch / "signature", scratch / "payload"], capture_output=True).returncode == 0


def payload_of(reference, digest):
    return json.dumps({"critical": {"identity": {"docker-reference": reference},
                                    "image": {"docker-manifest-digest": digest},
                                    "type": "cosign container image signature"}, "optional": None}).encode()


def put_blob(repository, data):
    """In two steps: docker-registry knows no other way."""
    place = ask("POST", f"/v2/{repository}/blobs/uploads/", at=registry.host).headers["Location"]
    reply = ask("PUT", f"{place.removeprefix(f'http://{registry.host}')}&digest={digest_of(data)}", data,
                at=registry.host, Content_Type="application/octet-stream")
    assert reply.status == 201, reply.body
    return {"digest": digest_of(data), "size": len(data)}


def tag_of(digest):
    return digest.replace(":", "-") + ".sig"


def put_signatures(repository, digest, pairs):
    """The manifest of signatures: (payload, signature) pairs."""
    layers = [{"mediaType": PAYLOAD, **put_blob(repository, payload),
               "annotations": {ANNOTATION: base64.b64encode(signature).decode()}} for payload, signature in pairs]
    config = {"mediaType": CONFIG, **put_blob(repository, b"{}")}
    reply, _ = put_manifest(repository, tag_of(digest), {
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}, at=registry.host)
    assert reply.status == 201, reply.body


def entry(tag):
    return next(one["digest"] for one in layout.entries
                if one["annotations"]["org.opencontainers.image.ref.name"] == tag)


def put_image(name, tag="one"):
    """Pushes an image; gives its full name and its digest."""
    return registry.push(layout, tag, name), entry(tag)


def sign(key, name, digest, reference=None):
    payload = payload_of(reference or name, digest)
    put_signatures(name[len(registry.host) + 1:].split(":")[0], digest, [(payload, key.sign(payload))])


class Policy(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        engine.remove_images()
        write()

    def refused(self, name, *words, tool=None, command="pull"):
        run = (tool or engine.docker)(*command.split(), name, check=False)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        for word in words:
            self.assertIn(word, run.stderr)

    def test_a_signed_image_is_pulled_and_run(self):
        name, digest = put_image("signed/app:1")
        write({f"{registry.host}/signed": signed_by(good)}, "reject")
        self.refused(name, f"{name} is refused by the signature policy ({policy}: transports.docker.{registry.host}"
                     f"/signed): no signature of {digest}, which must be made with {good.public}")
        self.assertEqual(engine.left_of_images(), [])  # no layer was fetched
        sign(good, name, digest)
        engine.docker("pull", name)
        self.assertEqual(engine.docker("run", "--rm", name, "echo", "hi").stdout, "hi\n")
        image = engine.docker("image", "inspect", "-f", "{{.Id}}", name).stdout.strip()
        self.assertEqual(engine.docker("run", "--rm", image[:20], "echo", "id").stdout, "id\n")
        self.assertEqual(engine.docker("run", "--rm", f"{name.rsplit(':', 1)[0]}@{digest}", "echo", "by").stdout,
                         "by\n")
        self.refused("docker.io/library/none", "default): reject")

    def test_every_kind_of_key(self):
        pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
        for number, (algorithm, *options) in enumerate((
                ("EC", "ec_paramgen_curve:P-384"), ("RSA", "rsa_keygen_bits:2048"),
                ("RSA", "rsa_keygen_bits:2048", pss), ("ED25519", None))):
            key = Key(f"kind{number}", algorithm, *options)
            name, digest = put_image(f"kinds/{algorithm.lower()}{number}:1", "two")
            write({registry.host: signed_by(key)})
            sign(good, name, digest)
            self.refused(name, f"not made with {key.public}")
            sign(key, name, digest)
            engine.docker("pull", name)

    def test_signatures_that_will_not_do(self):
        name, digest = put_image("bad/app:1", "two")
        repository = "bad/app"
        write({registry.host: signed_by(good)})
        sign(other, name, digest)
        self.refused(name, f"none of the 1 signatures of {digest} will do: not made with {good.public}")
        wrong = payload_of(name, entry("one"))
        put_signatures(repository, digest, [(wrong, good.sign(wrong))])
        self.refused(name, f"will do: made for {entry('one')}")
        sign(good, name, digest, name.replace("app:1", "app:2"))
        self.refused(name, f'made for the name "{name.replace("app:1", "app:2")}"')
        fine = payload_of(name, digest)
        put_signatures(repository, digest, [(fine.replace(b"optional", b"other"), good.sign(fine))])
        self.refused(name, "not made with")
        strange = b'{"critical":{}}'
        put_signatures(repository, digest, [(strange, good.sign(strange))])
        self.refused(name, 'no "identity"')
        put_signatures(repository, digest, [(fine, b"")])
        self.refused(name, "not made with")
        # A good one among bad ones is found, in any place.
        put_signatures(repository, digest, [(wrong, good.sign(wrong)), (fine, other.sign(fine)),
                                            (fine, good.sign(fine))])
        engine.docker("pull", name)

    def test_documents_that_lie(self):
        text = payload_of("r:1", entry("two"))
        signature = {ANNOTATION: base64.b64encode(good.sign(text)).decode()}
        layer = {"mediaType": PAYLOAD, "digest": digest_of(text), "size": len(text), "annotations": signature}
        liar = LyingRegistry(layout)
        self.addCleanup(liar.close)
        write({liar.host: signed_by(good, {"type": "exactReference", "dockerReference": "r:1"})})

        def answer(layers, payload=text):
            manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
                                   "config": {"mediaType": CONFIG, "digest": digest_of(b"{}"), "size": 2}}).encode()
            liar.replies[f"/v2/r/manifests/{tag_of(entry('two'))}"] = (200, {"Content-Type": MANIFEST}, manifest)
            liar.replies[f"/v2/r/blobs/{digest_of(text)}"] = (200, {}, payload)

        name = f"{liar.name}:two"
        answer([layer], text.replace(b"r:1", b"r:2"))
        self.refused(name, "payload verification failed for digest")
        answer([{**layer, "size": 1 << 40}])
        self.refused(name, "more than 16384")
        answer([{**layer, "annotations": {ANNOTATION: "!"}}])
        self.refused(name, "is no base64")
        answer([{**layer, "annotations": {ANNOTATION: "A" * 5000}}])
        self.refused(name, "of at most 4096 bytes")
        answer([layer] * 3000)
        self.refused(name, "3000 signatures, more than 128")
        answer([{**layer, "mediaType": "text/plain"}])
        self.refused(name, "no signature of")
        liar.replies[f"/v2/r/manifests/{tag_of(entry('two'))}"] = (200, {"Content-Type": MANIFEST}, b'{"layers":[')
        self.refused(name, "fetch the signatures sha256-", "invalid image manifest")
        liar.replies[f"/v2/r/manifests/{tag_of(entry('two'))}"] = (403, {}, b"{}")
        self.refused(name, "fetch the signatures sha256-")
        self.assertEqual(engine.left_of_images(), [])
        answer([layer])
        engine.docker("pull", name)
        # What was accepted is kept: the next pull only asks what the tag stands for.
        del liar.seen[:]
        engine.docker("pull", name)
        self.assertEqual([one for one in liar.seen if "/r/" in one], ["HEAD /v2/r/manifests/two"])

    def test_a_signed_index_holds_for_each_platform(self):
        name, digest = put_image("many/app:1", "index")
        write({registry.host: signed_by(good)})
        self.refused(name, f"no signature of {digest}")
        sign(good, name, digest)
        engine.docker("pull", name)
        engine.docker("pull", "--platform", "linux/arm64", name)
        engine.docker("create", name, "x")
        engine.docker("create", "--platform", "linux/arm64", name, "x")
        # The other way round: only what runs is signed.
        name, digest = put_image("many/parts:1", "index")
        amd = json.loads((layout.dir / "blobs/sha256" / digest[7:]).read_text())["manifests"][0]["digest"]
        sign(good, name, amd)
        engine.docker("pull", name)
        engine.docker("create", name, "x")
        self.refused(name, f"no signature of {digest}", command="pull --platform linux/arm64")

    def test_what_is_here_is_held_to_the_policy_of_now(self):
        name, digest = put_image("later/app:1")
        engine.docker("pull", name)
        write({registry.host: signed_by(good)})
        self.refused(name, f"no signature of {digest}", command="create")
        self.refused(name, "no signature of", command="create", tool=engine.coffer)
        self.refused(name, "no signature of")  # up to date, but not signed
        sign(good, name, digest)
        engine.docker("pull", name)
        container = engine.docker("create", name, "true").stdout.strip()
        write({registry.host: signed_by(other)})
        self.refused(name, f"not made with {other.public}", command="create")
        write({registry.host: [{"type": "reject"}]})
        self.refused(name, "reject", command="create")
        engine.docker("start", "-a", container)  # what is made goes on
        # An image of no registry has no signature, by whatever name it goes.
        engine.docker("import", "-", f"{registry.host}/later/own:1", input=busybox_rootfs())
        image = engine.docker("import", "-", input=busybox_rootfs() + b"\0" * 512).stdout.strip()
        write({registry.host: signed_by(good)})
        self.refused(f"{registry.host}/later/own:1", "no signature of an image of no registry", command="create")
        engine.docker("create", image, "x")
        write(default="reject")
        self.refused(image, "<none>@", "default): reject", command="create")
        write({registry.host: signed_by(good)}, default="reject")
        engine.docker("create", name, "x")
        # Another name for it is another name.
        engine.docker("tag", name, f"{registry.host}/later/alias:1")
        self.refused(f"{registry.host}/later/alias:1", "", command="create")
        # And an image as a mount is one too.
        run = engine.coffer("create", "--mount", f"type=image,source={registry.host}/later/own:1,target=/m", name, "x",
                            check=False)
        self.assertIn("no signature of", run.stderr)
        run = engine.coffer("image", "mount", f"{registry.host}/later/own:1", check=False)
        self.assertIn("no signature of", run.stderr)

    def test_one_digest_in_two_repositories_keeps_the_signatures_of_both(self):
        names = []
        for repository, key in (("both/one", good), ("both/two", other)):
            name, digest = put_image(f"{repository}:1")
            sign(key, name, digest)
            names.append(name)
        write({f"{registry.host}/both/one": signed_by(good), f"{registry.host}/both/two": signed_by(other)})
        for name in names:
            engine.docker("pull", name)
        for name in names:
            engine.docker("create", name, "x")

    def test_a_damaged_policy_refuses_and_the_engine_runs(self):
        name, _ = put_image("damaged/app:1")
        engine.docker("pull", name)
        policy.write_text('{"default": [{"type": "insecureAcceptAnything", "tyep": 1}]}')
        said = f'the signature policy is damaged: {policy}: default.0: unknown key "tyep"'
        self.refused(name, said)
        self.refused(name, said, command="create")
        self.assertEqual(engine.api("GET", "/_ping")[0], 200)
        checked = subprocess.run([BIN / "cofferd", "--config-file", engine.dir / "daemon.json", "--signature-policy",
                                  policy, "--validate"], capture_output=True, text=True, timeout=20)
        self.assertEqual(checked.returncode, 1)
        self.assertIn(said, checked.stderr)
        policy.unlink()
        self.refused(name, f"read the signature policy '{policy}'")
        write()
        engine.docker("pull", name)

    def test_signatures_go_with_the_image(self):
        name, digest = put_image("gone/app:1", "two")
        write({registry.host: signed_by(good)})
        sign(good, name, digest)
        engine.docker("pull", name)
        engine.docker("rmi", name)
        run = subprocess.run(["python3", "-c", "import sqlite3, sys; print(sqlite3.connect(sys.argv[1])"
                              ".execute('select count(*) from signatures').fetchone()[0])",
                              engine.data_root / "state.db"], capture_output=True, text=True, check=True)
        self.assertEqual(run.stdout, "0\n")


def cosign_key(key, pass_phrase):
    """The key in the file that cosign makes: scrypt, and NaCl's secretbox, here by libsodium's C interface."""
    der = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key.private, "-outform", "DER"],
                         check=True, capture_output=True).stdout
    salt, nonce = os.urandom(32), os.urandom(24)
    secret = hashlib.scrypt(pass_phrase.encode(), salt=salt, n=32768, r=8, p=1, maxmem=1 << 26, dklen=32)
    sealed = ctypes.create_string_buffer(len(der) + 16)
    ctypes.CDLL("libsodium.so.23").crypto_secretbox_easy(sealed, der, ctypes.c_ulonglong(len(der)), nonce, secret)
    text = json.dumps({"kdf": {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1},
                               "salt": base64.b64encode(salt).decode()},
                       "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
                       "ciphertext": base64.b64encode(sealed.raw).decode()})
    path = scratch / "cosign.key"
    body = base64.encodebytes(text.encode()).decode()
    path.write_text(f"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n{body}-----END ENCRYPTED COSIGN PRIVATE KEY-----\n")
    return path


class Signing(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()
        engine.remove_images()
        write()

    def make(self, name):
        engine.docker("import", "-c", "ENV PATH=/bin", "-", f"{registry.host}/{name}", input=busybox_rootfs())
        return f"{registry.host}/{name}"

    def coffer(self, *args, password=None, check=True):
        return engine.coffer(*args, check=check, env={"COFFER_SIGN_PASSWORD": password} if password else None)

    def signatures(self, repository, digest):
        """The payloads and signatures that the registry has."""
        manifest = fetch(f"{repository}/manifests/{tag_of(digest)}", registry.host).json
        return [(fetch(f"{repository}/blobs/{layer['digest']}", registry.host).body,
                 base64.b64decode(layer["annotations"][ANNOTATION])) for layer in manifest["layers"]]

    def digest(self, name):
        repository, tag = name[len(registry.host) + 1:].split(":")
        return fetch(f"{repository}/manifests/{tag}", registry.host).headers["Docker-Content-Digest"]

    def test_a_push_that_signs(self):
        name = self.make("ours/app:1")
        run = self.coffer("push", "--sign-key", good.private, name)
        digest = self.digest(name)
        self.assertTrue(run.stdout.endswith(f"Signed {name} ({digest})\n"), run.stdout)
        (payload, signature), = self.signatures("ours/app", digest)
        self.assertTrue(good.verifies(payload, signature))
        self.assertEqual(json.loads(payload), json.loads(payload_of(name, digest)))
        write({registry.host: signed_by(good)}, "reject")
        engine.docker("rmi", name)
        engine.docker("pull", name)
        self.assertEqual(engine.docker("run", "--rm", name, "echo", "hi").stdout, "hi\n")
        # One more for the same digest, made elsewhere: both stay.
        self.coffer("image", "sign", "--key", other.private, name)
        self.assertEqual(self.signatures("ours/app", digest)[0], (payload, signature))
        self.assertTrue(other.verifies(*self.signatures("ours/app", digest)[1]))
        engine.docker("pull", name)
        for key in (good, other):
            run = self.coffer("image", "verify", "--key", key.public, name)
            self.assertEqual(run.stdout, f"{name[:-2]}@{digest}: signed with {key.public} for {name}\n")
        run = self.coffer("image", "verify", "--key", Key("third").public, name, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"none of the 2 signatures of {digest} was made with", run.stderr)

    def test_keys_with_a_pass_phrase(self):
        name = self.make("locked/app:1")
        locked = scratch / "locked.key"
        subprocess.run(["openssl", "pkcs8", "-topk8", "-in", good.private, "-out", locked, "-passout", "pass:secret"],
                       check=True)
        for path in (locked, cosign_key(good, "secret")):
            run = self.coffer("push", "--sign-key", path, name, check=False)
            self.assertIn("it needs a pass phrase: set COFFER_SIGN_PASSWORD", run.stderr)
            self.assertNotIn("Pushed", run.stdout)  # a push that cannot be signed does not begin
            run = self.coffer("push", "--sign-key", path, name, password="wrong", check=False)
            self.assertIn(f"key '{path}': wrong pass phrase", run.stderr)
            self.coffer("push", "--sign-key", path, name, password="secret")
            self.assertTrue(good.verifies(*self.signatures("locked/app", self.digest(name))[-1]))
        ed = Key("ed", "ED25519", None)
        before = len(self.signatures("locked/app", self.digest(name)))
        for _ in range(2):  # the same signature is not added twice
            self.coffer("push", "--sign-key", ed.private, name)
        self.assertEqual(len(self.signatures("locked/app", self.digest(name))), before + 1)
        for path, why in ((good.public, "no private key in pem"), (scratch / "none", "no such file")):
            run = self.coffer("push", "--sign-key", path, name, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn(why, run.stderr.lower())

    def test_skopeo_carries_signatures_from_us_and_to_us(self):
        """Debian's skopeo neither makes nor checks them, but it reads and writes them."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        (folder / "r.d").mkdir()
        (folder / "r.d/r.yaml").write_text(f"docker:\n  {registry.host}:\n    use-sigstore-attachments: true\n")

        def copy(source, target):
            subprocess.run(["skopeo", "--registries.d", folder / "r.d", "--policy", policy, "copy", "--quiet",
                            "--src-tls-verify=false", "--dest-tls-verify=false", source, target],
                           check=True, capture_output=True, text=True)

        name = self.make("both/app:1")
        self.coffer("push", "--sign-key", good.private, name)
        copy(f"docker://{name}", f"dir:{folder}/copy")
        kept = json.loads((folder / "copy/signature-1").read_bytes().split(b"\n", 1)[1])
        self.assertEqual(base64.b64decode(kept["payload"]), self.signatures("both/app", self.digest(name))[0][0])
        theirs = f"{registry.host}/both/theirs:1"
        copy(f"dir:{folder}/copy", f"docker://{theirs}")
        identity = {"type": "exactReference", "dockerReference": name}
        write({f"{registry.host}/both/theirs": signed_by(good, identity)}, "reject")
        engine.docker("pull", theirs)
        write({f"{registry.host}/both/theirs": signed_by(other, identity)}, "reject")
        self.assertIn("not made with", engine.docker("create", theirs, "x", check=False).stderr)


class Artifacts(unittest.TestCase):
    def test_they_are_under_the_policy(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        (folder / "file").write_bytes(b"bytes")
        name = f"{registry.host}/artifacts/model:1"
        self.addCleanup(engine.coffer, "artifact", "rm", "--all")
        self.addCleanup(write)
        scope = f"{registry.host}/artifacts"

        def fails(why, *command):
            run = engine.coffer("artifact", *command, check=False)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(why, run.stdout + run.stderr)

        digest = engine.coffer("artifact", "add", name, folder / "file").stdout.strip()
        engine.coffer("artifact", "push", name)
        write({scope: signed_by(good)})
        fails("no signature of", "extract", name, folder / "out")  # one made here has none
        engine.coffer("artifact", "rm", name)
        fails(f"no signature of {digest}", "pull", name)
        self.assertEqual(engine.coffer("artifact", "ls", "-q").stdout, "")
        payload = payload_of(name, digest)
        put_signatures("artifacts/model", digest, [(payload, good.sign(payload))])
        engine.coffer("artifact", "pull", name)
        engine.coffer("artifact", "extract", name, folder / "out")
        self.assertEqual((folder / "out").read_bytes(), b"bytes")
        write({scope: signed_by(other)})
        for one in (name, digest, digest[7:]):
            fails("not made with", "extract", one, folder / "out2")
        write({scope: [{"type": "reject"}]})
        fails("reject", "pull", name)
        # Its signatures go with it.
        write({scope: signed_by(good)})
        engine.coffer("artifact", "rm", name)
        put_signatures("artifacts/model", digest, [])
        fails("no signature of", "pull", name)


class Pins(unittest.TestCase):
    def setUp(self):
        self.name, self.first = put_image("pins/app:1", "two")
        self.addCleanup(engine.remove_images)
        self.addCleanup(engine.remove_containers)

    def pins(self):
        return engine.coffer("image", "pins", "--format", "{{.Reference}} {{.Digest}} {{.State}}").stdout

    def image(self):
        return engine.docker("image", "inspect", "-f", "{{.Id}}", self.name).stdout.strip()

    def test_a_tag_that_moves(self):
        engine.docker("pull", self.name)
        before = self.image()
        engine.coffer("image", "pin", self.name)
        self.addCleanup(engine.coffer, "image", "unpin", self.name, check=False)
        self.assertEqual(self.pins(), f"{self.name} {self.first} here\n")
        engine.docker("pull", self.name)
        put_image("pins/app:1", "one")
        second = entry("one")
        warning = (f"WARNING: {self.name} has moved to {second} at its registry, and stays with {self.first} to "
                   "which it is pinned")
        for tool in (engine.docker, engine.coffer):
            self.assertIn(warning, tool("pull", self.name).stdout)
        self.assertEqual(self.image(), before)
        # Without the image here it is the pinned one that comes.
        engine.docker("rmi", self.name)
        self.assertEqual(self.pins(), f"{self.name} {self.first} absent\n")
        engine.docker("pull", self.name)
        self.assertEqual(self.image(), before)
        moved = engine.coffer("pull", "--move-pin", self.name).stdout
        self.assertNotIn("WARNING", moved)
        self.assertNotEqual(self.image(), before)
        self.assertEqual(self.pins(), f"{self.name} {second} here\n")
        engine.coffer("image", "unpin", self.name)
        self.assertEqual(self.pins(), "")
        run = engine.coffer("image", "unpin", self.name, check=False)
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("is not pinned", run.stderr)

    def test_a_pinned_tag_is_no_other_image(self):
        engine.coffer("image", "pin", f"{self.name}@{self.first}")
        self.addCleanup(engine.coffer, "image", "unpin", self.name)
        self.assertEqual(self.pins(), f"{self.name} {self.first} absent\n")
        engine.docker("import", "-", self.name, input=busybox_rootfs())
        self.assertEqual(self.pins(), f"{self.name} {self.first} moved\n")
        run = engine.docker("create", self.name, "x", check=False)
        self.assertIn(f"{self.name} is pinned to {self.first} and stands for another image here", run.stderr)
        engine.docker("pull", self.name)
        engine.docker("create", self.name, "x")

    def test_a_pinned_tag_is_judged_as_that_tag(self):
        other_tag = self.name.replace(":1", ":2")
        engine.coffer("image", "pin", f"{self.name}@{self.first}")
        self.addCleanup(engine.coffer, "image", "unpin", self.name)
        self.addCleanup(write)
        write({f"{registry.host}/pins/app": signed_by(good)})
        # Good for the digest by itself, and for another tag.
        payload = payload_of(other_tag, self.first)
        put_signatures("pins/app", self.first, [(payload, good.sign(payload))])
        run = engine.docker("pull", self.name, check=False)
        self.assertIn(f'made for the name "{other_tag}"', run.stderr)
        engine.docker("pull", f"{self.name}@{self.first}")
        payloads = [payload, payload_of(self.name, self.first)]
        put_signatures("pins/app", self.first, [(one, good.sign(one)) for one in payloads])
        engine.docker("pull", self.name)
        engine.docker("create", self.name, "x")

    def test_what_has_no_digest_cannot_be_pinned(self):
        engine.docker("import", "-", "made:1", input=busybox_rootfs())
        for name in ("made:1", "none:1"):
            run = engine.coffer("image", "pin", name, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn(f"no digest of {name} is known here", run.stderr)


if __name__ == "__main__":
    unittest.main()
