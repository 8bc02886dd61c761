"""Signed provenance: who made a film, with what and from what, in a C2PA manifest with the file (c2pa.org).

Signing is offline. The first film makes a local authority, a certificate authority of one's own and a signer, whose
keys stay in the user's own folder, readable by nobody else. Nobody but its owner has a reason to trust it, and `verify`
says so: a valid signature shows that the file was not changed since that key signed it.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

EMBEDDED = (".mp4", ".mov", ".webp", ".gif")              # carry their manifest inside
BESIDE = (".webm",)                                        # C2PA has no place for one in WebM: it lies beside
SIGNABLE = (*EMBEDDED, *BESIDE)
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
GENERATION = "org.sorakit.generation"
PURPOSES = "1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n"      # of certificates: e-mail protection, document signing
YEARS = 10


@dataclass(frozen=True)
class Origin:
    """What a film's file is to say of where it comes from. The safety stage writes it, and saving signs it."""

    model: str
    seed: int
    prompt_sha256: str
    prompt: str = ""                           # only where the policy lets files keep it
    weights: str = ""                          # sha256 of the model's weights
    watermark: int | None = None               # its payload, so that manifest and film can be told to belong together
    actions: tuple[str, ...] = ("c2pa.created",)           # C2PA's words for what was done, in order
    made_from: tuple[str, ...] = ()            # paths of films or pictures it was made of; each becomes an ingredient

    def after(self, action: str) -> Origin:
        """With one more action, if it is not there yet."""
        return self if action in self.actions else replace(self, actions=(*self.actions, action))


@dataclass(frozen=True)
class Provenance:
    """What is known of a file from its manifest."""

    signed: bool
    changed: bool | None = None                # since it was signed; None without a manifest
    trusted: bool | None = None                # does the local authority, or one that was passed, stand behind it
    signer: str = ""
    tool: str = ""
    generation: dict = field(default_factory=dict)         # model, seed, prompt or its hash, ...
    actions: tuple[str, ...] = ()
    ingredients: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()             # codes of what is wrong, as C2PA names them

    def __str__(self):
        if not self.signed:
            return "no signed provenance with this file: it never had any, or it was taken away"
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
        """The one of this user, made on first use: in `folder`, else $SORAKIT_HOME, else ~/.config/sorakit.

        Raises OSError if it cannot be made there.
        """
        authority = cls._of(folder)
        if not authority.complete:
            try:
                _make(authority.folder)
            except OSError as error:
                raise OSError(f"no keys to sign films with can be made in {authority.folder}: {error.strerror}; set "
                              "SORAKIT_HOME to a folder of your own") from error
        return authority

    @classmethod
    def existing(cls, folder: str | Path | None = None) -> Authority | None:
        """The same, or None where no film has been signed yet."""
        authority = cls._of(folder)
        return authority if authority.complete else None

    @classmethod
    def _of(cls, folder):
        return cls(Path(folder or os.environ.get("SORAKIT_HOME") or "~/.config/sorakit").expanduser() / "authority")

    @property
    def complete(self) -> bool:
        return (self.folder / "signer.pem").is_file() and (self.folder / "signer.key").is_file()

    @property
    def certificate(self) -> str:
        """Of the authority, as PEM: what others need to trust it."""
        return (self.folder / "authority.pem").read_text()

    def signer(self):
        import c2pa
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(
            c2pa.C2paSigningAlg.ES256, (self.folder / "signer.pem").read_bytes(),
            (self.folder / "signer.key").read_bytes(), None))


def beside(path: str | Path) -> Path:
    """Where the manifest of a file lies that cannot carry it inside: film.webm has film.c2pa."""
    return Path(path).with_suffix(".c2pa")


def path_of(given) -> tuple[str, ...]:
    """The absolute path of a picture or film that is given as a file, for `Origin.made_from`; () for any other."""
    return (str(Path(given).expanduser().absolute()),) if isinstance(given, (str, Path)) else ()


def sources_of(given) -> tuple[str, ...]:
    """As `path_of`; of a film that sorakit made (a Video, Take or Run), the files that it was made from."""
    origin = getattr(getattr(given, "video", given), "origin", None)
    return path_of(given) or (origin.made_from if origin else ())


def sign(path: str | Path, origin: Origin, *, authority: Authority | None = None, name: str | None = None) -> Path:
    """Give a finished file a signed manifest, in place (or beside it, for WebM), and check it on read-back.

    Args:
        path: a whole film, of one of SIGNABLE.
        name: what the file will be called, if it has another name by now; it says what kind of file it is.

    Raises ValueError for another kind of file or actions that need an ingredient, OSError if it cannot be signed.
    """
    import c2pa
    path = Path(path)
    name = name or path.name
    kind = Path(name).suffix.lower()
    if kind not in SIGNABLE:
        raise ValueError(f"path={name!r} cannot be signed; {', '.join(SIGNABLE)} can")
    created = origin.actions[0] == "c2pa.created"
    if not created and not origin.made_from:
        raise ValueError(f"actions={origin.actions!r} need made_from=, the file that they were done to")
    if gone := [source for source in origin.made_from if not Path(source).is_file()]:
        raise FileNotFoundError(f"{name} was made from {gone[0]}, which is gone; put it back, as the manifest is "
                                "to name it")
    authority = authority or Authority.local()
    partial = path.with_name(f".{path.name}.{os.getpid()}.signed")
    manifest_path = beside(path.with_name(name))
    try:
        builder = c2pa.Builder(_manifest(origin, name), _context(authority.certificate))
        if not created:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        for k, source in enumerate(map(Path, origin.made_from)):
            relation = "parentOf" if k == 0 and not created else "componentOf"
            said = {"title": source.name, "relationship": relation}
            with source.open("rb") as stream:
                try:
                    builder.add_ingredient(said, source.suffix.lower().lstrip("."), stream)
                except c2pa.C2paError:                     # its name says another kind of file than it is
                    stream.seek(0)
                    builder.add_ingredient(said, "application/octet-stream", stream)
        if kind in BESIDE:
            builder.set_no_embed()
            with path.open("rb") as source:
                partial.write_bytes(builder.sign(authority.signer(), _format(kind), source, io.BytesIO()))
        else:
            with path.open("rb") as source, partial.open("w+b") as signed:
                builder.sign(authority.signer(), _format(kind), source, signed)
        found = _read(path if kind in BESIDE else partial, kind, partial if kind in BESIDE else None,
                      _context(authority.certificate))
        if not found.signed or found.changed:
            raise OSError(f"{name} did not read back as signed: {found}")
        os.replace(partial, manifest_path if kind in BESIDE else path)
    except c2pa.C2paError as error:
        raise OSError(f"{name} cannot be signed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def verify(path: str | Path, *, authority: Authority | None = None, trust: Sequence[str | Path] = ()) -> Provenance:
    """What a file's manifest says and whether it holds.

    Args:
        authority: whose signatures are trusted; by default the local one's.
        trust: certificates (PEM files) of authorities that are trusted as well.

    Raises FileNotFoundError for no file, ValueError for trust in what is no certificate.
    """
    from cryptography import x509
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is no file")
    authority = authority or Authority.existing()
    anchors = [authority.certificate] if authority else []
    for certificate in trust:
        anchors.append(Path(certificate).expanduser().read_text(errors="replace"))
        try:
            x509.load_pem_x509_certificates(anchors[-1].encode())
        except ValueError as error:
            raise ValueError(f"trust={str(certificate)!r} is no certificate (PEM): {error}") from error
    aside = beside(path)
    sidecar = aside if path.suffix.lower() not in EMBEDDED and aside.is_file() else None
    return _read(path, path.suffix.lower(), sidecar, _context("\n".join(anchors)))


def _read(path, kind, sidecar, context) -> Provenance:
    import c2pa
    try:
        with path.open("rb") as stream:
            reader = c2pa.Reader(_format(kind), stream, *([sidecar.read_bytes()] if sidecar else []),
                                 context=context)
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


def _manifest(origin: Origin, name: str) -> dict:
    said = {"model": origin.model, "seed": str(origin.seed), "prompt sha256": origin.prompt_sha256}
    said |= {"prompt": origin.prompt} if origin.prompt else {}
    said |= {"weights sha256": origin.weights} if origin.weights else {}
    said |= {"watermark": f"{origin.watermark:016x}"} if origin.watermark is not None else {}
    actions = [{"action": action} | ({"digitalSourceType": SOURCE} if action == "c2pa.created" else {})
               for action in origin.actions]
    return {"claim_generator_info": [{"name": "sorakit"}], "title": name,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}},
                           {"label": GENERATION, "data": said}]}


def _format(kind: str) -> str:
    return {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
            ".gif": "image/gif"}.get(kind, kind.lstrip("."))


def _context(anchors: str):
    import c2pa
    trust = {"trust": {"trust_anchors": anchors, "trust_config": PURPOSES}} if anchors else {}
    return c2pa.Context(c2pa.Settings.from_dict({"verify": {"verify_trust": True}} | trust))


def _make(folder: Path) -> None:
    """A certificate authority and a signer, ECDSA on P-256, valid for ten years; the folder is there as a whole."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    partial.mkdir(parents=True, mode=0o700)
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

    try:
        for name, key in keys.items():
            secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption())
            _write(partial / f"{name}.key", secret, 0o600)
        authority = certificate("authority", True)
        _write(partial / "authority.pem", authority, 0o644)
        _write(partial / "signer.pem", certificate("signer", False) + authority, 0o644)
        try:
            partial.rename(folder)
        except OSError:                        # another process was first
            if not (folder / "signer.pem").is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
