"""Signed provenance: who made a film, with what and from what, in a C2PA manifest inside the file (c2pa.org).

Signing is offline. The first film makes a local authority, a certificate authority of one's own and a signer, whose
keys stay in the user's own folder, readable by nobody else. Nobody but its owner has a reason to trust it, and `verify`
says so: a valid signature shows that the file was not changed since that key signed it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

SIGNABLE = (".mp4", ".gif")                                # c2pa-python has no WebM
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
GENERATION = "org.sorakit.generation"
PURPOSES = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n"      # of certificates: e-mail protection, document signing
YEARS = 10


@dataclass(frozen=True)
class Provenance:
    """What is known of a file from its manifest."""

    signed: bool
    changed: bool | None = None                # since it was signed; None without a manifest
    trusted: bool | None = None                # whether the authority passed, or else the local one, stands behind it
    signer: str = ""
    tool: str = ""
    generation: dict = field(default_factory=dict)         # model, seed, prompt or its hash, ...
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()             # codes of what is wrong, as C2PA names them

    def __str__(self):
        if not self.signed:
            return "no signed provenance in this file: it never had any, or it was taken out"
        if self.changed:
            return (f"changed since it was signed by {self.signer or 'somebody'}: do not rely on what it says "
                    f"({', '.join(self.problems)})")
        made = ", ".join(f"{key} {value}" for key, value in self.generation.items())
        trust = "whom you trust" if self.trusted else "whom you have no reason to trust"
        return (f"signed by {self.signer}, {trust}; "
                f"not changed since; {', '.join(self.actions) or 'no actions'} with {self.tool}"
                + (f" ({made})" if made else "")
                + (f"; from {', '.join(self.ingredients)}" if self.ingredients else ""))

    def json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Authority:
    """Keys and certificates of a folder: authority.pem, signer.pem (both public) and the two .key files (0600)."""

    folder: Path

    @classmethod
    def local(cls, folder: str | Path | None = None) -> Authority:
        """The one of this user, made on first use: in `folder`, else $SORAKIT_HOME, else ~/.config/sorakit."""
        folder = Path(folder or os.environ.get("SORAKIT_HOME") or "~/.config/sorakit").expanduser() / "authority"
        authority = cls(folder)
        if not (folder / "signer.pem").is_file():
            _make(folder)
        return authority

    @property
    def certificate(self) -> str:
        """Of the authority, as PEM: what others need to trust it."""
        return (self.folder / "authority.pem").read_text()

    def signer(self):
        import c2pa
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(
            c2pa.C2paSigningAlg.ES256, (self.folder / "signer.pem").read_bytes(),
            (self.folder / "signer.key").read_bytes(), None))


def sign(path: str | Path, *, model: str, seed: int, prompt: str, authority: Authority | None = None,
         weights: str = "", keep_prompt: bool = False, watermark: int | None = None,
         made_from: tuple[str | Path, ...] = (), action: str = "c2pa.created") -> Path:
    """Put a signed manifest into a finished file, in place, and check it on read-back.

    Args:
        path: .mp4 or .gif.
        weights: a hash of the model's weights.
        keep_prompt: write the prompt itself; otherwise only its sha256.
        watermark: the payload of the watermark, so that manifest and film can be told to belong together.
        made_from: files that the film was made of; each becomes an ingredient.
        action: C2PA's word for what was done: c2pa.created, c2pa.edited, ... All but the first need `made_from`.

    Raises ValueError for another kind of file, OSError if it cannot be signed.
    """
    import c2pa
    path = Path(path)
    if path.suffix.lower() not in SIGNABLE:
        raise ValueError(f"path={path.name!r} cannot carry a manifest; {', '.join(SIGNABLE)} can")
    if action != "c2pa.created" and not made_from:
        raise ValueError(f"action={action!r} needs made_from=, the file that it was done to")
    authority = authority or Authority.local()
    said = {"model": model, "seed": str(seed), "prompt sha256": hashlib.sha256(prompt.encode()).hexdigest()}
    said |= {"prompt": prompt} if keep_prompt else {}
    said |= {"weights sha256": weights} if weights else {}
    said |= {"watermark": f"{watermark:016x}"} if watermark is not None else {}
    done = {"action": action} | ({"digitalSourceType": SOURCE} if action == "c2pa.created" else {})
    manifest = {"claim_generator_info": [{"name": "sorakit"}], "title": path.name,
                "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [done]}},
                               {"label": GENERATION, "data": said}]}
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        builder = c2pa.Builder(manifest, _context(authority))
        if action != "c2pa.created":
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        for k, source in enumerate(made_from):
            relation = "parentOf" if k == 0 and action != "c2pa.created" else "componentOf"
            with Path(source).open("rb") as stream:
                builder.add_ingredient({"title": Path(source).name, "relationship": relation},
                                       Path(source).suffix.lower().lstrip("."), stream)
        builder.sign_file(path, partial, authority.signer())
        found = verify(partial, authority=authority)
        if not found.signed or found.changed:
            raise OSError(f"{path} did not read back as signed: {found}")
        os.replace(partial, path)
    except c2pa.C2paError as error:
        raise OSError(f"{path} cannot be signed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def verify(path: str | Path, *, authority: Authority | None = None) -> Provenance:
    """What a file's manifest says and whether it holds. Raises FileNotFoundError for no file."""
    import c2pa
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is no file")
    try:
        reader = c2pa.Reader(path, context=_context(authority or Authority.local()))
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error) or "NotSupported" in str(error):
            return Provenance(signed=False)
        return Provenance(signed=True, changed=True, problems=(str(error),))
    said, results = json.loads(reader.json()), reader.get_validation_results() or {}
    manifest = said["manifests"][said["active_manifest"]]
    failures = [problem["code"] for problem in results.get("activeManifest", {}).get("failure", [])]
    state = reader.get_validation_state()
    assertions = {entry["label"]: entry["data"] for entry in manifest.get("assertions", [])}
    actions = next((data["actions"] for label, data in assertions.items() if label.startswith("c2pa.actions")), [])
    signature = manifest.get("signature_info", {})
    return Provenance(True, state == "Invalid", state == "Trusted",
                      ", ".join(filter(None, (signature.get("common_name"), signature.get("issuer")))),
                      manifest.get("claim_generator_info", [{}])[0].get("name", ""), assertions.get(GENERATION, {}),
                      tuple(action["action"].removeprefix("c2pa.") for action in actions),
                      tuple(entry.get("title", "?") for entry in manifest.get("ingredients", [])),
                      tuple(dict.fromkeys(failures)))


def _context(authority: Authority):
    import c2pa
    return c2pa.Context(c2pa.Settings.from_dict({
        "verify": {"verify_trust": True},
        "trust": {"trust_anchors": authority.certificate, "trust_config": PURPOSES}}))


def _make(folder: Path) -> None:
    """A certificate authority and a signer, ECDSA on P-256, valid for ten years."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.datetime.now(datetime.timezone.utc)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "signer")}
    names = {name: x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sorakit, on this computer"),
                              x509.NameAttribute(NameOID.COMMON_NAME, f"local {name}")]) for name in keys}

    def certificate(name, issued):
        uses = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                              "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
        uses |= {"key_cert_sign": True, "crl_sign": True} if issued else {"digital_signature": True}
        builder = (x509.CertificateBuilder().subject_name(names[name]).issuer_name(names["authority"])
                   .public_key(keys[name].public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
                   .add_extension(x509.BasicConstraints(ca=issued, path_length=None), critical=True)
                   .add_extension(x509.KeyUsage(**uses), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key()), critical=False))
        if not issued:
            builder = (builder
                       .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
                       .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                           keys["authority"].public_key()), critical=False))
        return builder.sign(keys["authority"], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    for name, key in keys.items():
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())
        _write(folder / f"{name}.key", secret, 0o600)
    authority = certificate("authority", True)
    _write(folder / "authority.pem", authority, 0o644)
    _write(folder / "signer.pem", certificate("signer", False) + authority, 0o644)         # last: it says all is there


def _write(path: Path, data: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    beside.replace(path)
