"""Signatures over a release's folder: OpenSSF Model Signing v1.0 with an elliptic-curve key, offline.

``model.sig`` is a Sigstore bundle with the digest of every file in the folder; the ``model_signing`` command verifies
it, too. A signature proves that whoever has the private key signed these bytes, and nothing about how they came to be.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.storage import all_in

SIGNATURE = "model.sig"
IGNORED = (SIGNATURE, ".cache/huggingface")
"""The signature itself, and what ``huggingface_hub`` leaves beside files that it has downloaded. The library ignores
git's own files as well."""
GIT = (".git", ".gitattributes", ".github", ".gitignore")
KEPT = (".safetensors",)
"""Files of these kinds are not read again when a folder is signed again: their digests come from the signature."""


def make_key(private: Path) -> Path:
    """Write a new private key (NIST P-256, PEM, readable by its owner alone) and its public key; return the latter."""
    library = extra("cryptography.hazmat.primitives.serialization", "release", "signing")
    curves = extra("cryptography.hazmat.primitives.asymmetric.ec", "release", "signing")
    public = public_path(private)
    for path in (private, public):
        if path.exists():
            raise InputError(f"{path} is there already: give another name")
    key = curves.generate_private_key(curves.SECP256R1())
    pem = library.Encoding.PEM
    secret = key.private_bytes(pem, library.PrivateFormat.PKCS8, library.NoEncryption())
    shared = key.public_key().public_bytes(pem, library.PublicFormat.SubjectPublicKeyInfo)
    private.touch(mode=0o600)
    private.write_bytes(secret)
    public.write_bytes(shared)
    return public


def public_path(private: Path) -> Path:
    return private.with_name(private.name + ".pub")


def sign(folder: Path, private: Path) -> int:
    """Sign every file in ``folder`` with the private key; return how many files were read.

    Where the folder has a signature of the same key already, digests of weights are taken from it: after an edit of the
    card, terabytes need not be read again. That is safe: what is signed is the digest of the weights that were signed
    before, so weights that were swapped in between do not verify.
    """
    outside(private, folder)
    signing, hashing = extra("model_signing.signing", "release", "signing"), _hashing()
    known = _signed_before(folder, private)
    config = hashing.Config().set_ignored_paths(paths=IGNORED, ignore_git_paths=True)
    files = listed(folder)
    fresh = [path for path in files if path.suffix not in KEPT or _name(path, folder) not in known]
    if len(fresh) < len(files):
        config = _Incremental(config, folder, fresh, known)
    try:
        signing.Config().use_elliptic_key_signer(private_key=private).set_hashing_config(config).sign(
            folder, folder / SIGNATURE
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{private} cannot sign: {_line(error)}; altiplano release key makes a key") from error
    (folder / SIGNATURE).chmod(0o644)
    return len(fresh)


def signature_problems(folder: Path, public: Path) -> tuple[list[str], dict[str, str]]:
    """What is wrong with the folder's signature, in lines, and the digest of every file that it vouches for.

    Raises InputError when the key is no public key, or comes from the folder that it is to vouch for.
    """
    outside(public, folder)
    if b"PRIVATE KEY" in public.read_bytes():
        raise InputError(f"{public} is a private key: verify with the public one, {public_path(public).name}")
    if not (folder / SIGNATURE).exists():
        return [f"{SIGNATURE} is missing: the release is not signed"], {}
    if linked := [_name(path, folder) for path in all_in(folder) if path.is_symlink()]:
        return [f"{linked[0]} is a link: a release has files of its own"], {}
    try:
        signed = _expected(folder, public)
    except InputError:
        raise
    except Exception as error:  # a bundle can be damaged in any way; the library raises what its parsers do
        return [f"{SIGNATURE} is not a signature of {public.name}: {_line(error)}"], {}
    actual = digests(folder, listed(folder))
    problems = [f"{name} is missing: it was signed" for name in sorted(signed.keys() - actual.keys())]
    problems += [f"{name} was not signed" for name in sorted(actual.keys() - signed.keys())]
    both = sorted(signed.keys() & actual.keys())
    problems += [f"{name} is not what was signed (sha256 differs)" for name in both if signed[name] != actual[name]]
    return problems, {} if problems else signed


def listed(folder: Path) -> list[Path]:
    """The files that a signature covers, in order."""
    found = []
    for path in all_in(folder):
        name = _name(path, folder)
        ignored = any(name == one or name.startswith(f"{one}/") for one in (*IGNORED, *GIT))
        if path.is_file() and not ignored:
            found.append(path)
    return found


def digests(folder: Path, files: list[Path]) -> dict[str, str]:
    """sha256 of files by their names in ``folder``, read on several threads."""
    manifest = _hashing().Config().hash(folder, files_to_hash=files)
    return {one.identifier: one.digest.digest_hex for one in manifest.resource_descriptors()}


def outside(key: Path, folder: Path) -> None:
    """Raises InputError when there is no such key, or it lies in the folder: then it proves nothing."""
    if not key.is_file():
        raise InputError(f"{key}: no such key; altiplano release key makes one")
    if key.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{key} is in {folder}: a key must come from elsewhere than what it vouches for")


class _Incremental:
    """A hashing configuration that reads ``fresh`` files and takes the digests of all others from ``known``."""

    def __init__(self, config: Any, folder: Path, fresh: list[Path], known: Mapping[str, Any]):
        self.config, self.folder, self.fresh, self.known = config, folder, fresh, known

    def hash(self, model_path: Path) -> Any:
        """The manifest of the whole folder, as ``model_signing.hashing.Config.hash`` gives it."""
        library = extra("model_signing.manifest", "release", "signing")
        read = self.config.hash(model_path, files_to_hash=self.fresh)
        found = {one.identifier: one.digest for one in read.resource_descriptors()}
        for path in listed(self.folder):
            name = _name(path, self.folder)
            found.setdefault(name, self.known.get(name))
        items = [library.FileManifestItem(path=PurePosixPath(name), digest=one) for name, one in found.items()]
        return library.Manifest(read.model_name, items, library.SerializationType.from_args(read.serialization_type))


def _signed_before(folder: Path, private: Path) -> dict[str, Any]:
    """Digests in the folder's signature, if this key made it; {} otherwise."""
    if not (folder / SIGNATURE).exists():
        return {}
    library = extra("cryptography.hazmat.primitives.serialization", "release", "signing")
    try:
        key = library.load_pem_private_key(private.read_bytes(), None)
        public = key.public_key().public_bytes(library.Encoding.PEM, library.PublicFormat.SubjectPublicKeyInfo)
        return {one.identifier: one.digest for one in _manifest(folder, public).resource_descriptors()}
    except Exception:  # of another key, or damaged: then everything is read
        return {}


def _expected(folder: Path, public: Path) -> dict[str, str]:
    manifest = _manifest(folder, public.read_bytes())
    return {one.identifier: one.digest.digest_hex for one in manifest.resource_descriptors()}


def _manifest(folder: Path, public: bytes) -> Any:
    """The manifest that the signature vouches for. Raises whatever the library does when it is not this key's."""
    import tempfile

    keys = extra("model_signing._signing.sign_ec_key", "release", "signing")
    bundles = extra("model_signing._signing.sign_sigstore_pb", "release", "signing")
    with tempfile.NamedTemporaryFile() as file:
        file.write(public)
        file.flush()
        try:
            verifier = keys.Verifier(Path(file.name))
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"the key is no public key of an elliptic curve in PEM: {_line(error)}") from error
    return verifier.verify(bundles.Signature.read(folder / SIGNATURE))


def _hashing() -> Any:
    return extra("model_signing.hashing", "release", "signing")


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
