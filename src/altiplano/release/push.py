"""A release to a hub, with Hugging Face's own client. Nothing is sent that does not verify."""

import warnings
from pathlib import Path

from altiplano.errors import InputError
from altiplano.optional_imports import extra
from altiplano.release.bundle import NOTICES, read_bundle
from altiplano.release.signing import SIGNATURE
from altiplano.release.verification.verify import verify


def push(
    folder: Path, repository: str, *, public: Path | None, endpoint: str | None = None, private: bool = False
) -> str:
    """Upload the release's files in one commit; return its address.

    ``public``: the key to verify with before anything leaves; None: everything but the signature is verified. Of a
    withdrawn release the weights are removed from the hub. Raises InputError when it does not verify, or the hub
    refuses.
    """
    hub = extra("huggingface_hub", "release", "push")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise InputError(f"--to {repository}: give ORGANISATION/NAME")
    bundle = read_bundle(folder)
    withdrawn = bundle.withdrawn is not None
    problems = [line for line in verify(folder, public) if not (withdrawn and line.startswith(f"{NOTICES}: withdrawn"))]
    if problems:
        raise InputError(f"{folder} does not verify, so nothing was sent: {problems[0]}")
    if not (folder / SIGNATURE).exists():
        raise InputError(f"{folder} is not signed: altiplano release sign {folder} --key KEY")
    api = hub.HfApi(endpoint=endpoint)
    message = "Withdraw" if withdrawn else "Release"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*commit a data file")  # the evidence's rows are meant
            api.create_repo(repository, private=private, exist_ok=True)
            made = api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message=f"{message} {bundle.facts.name}",
                ignore_patterns=[".cache/**"],
                delete_patterns=["*.safetensors*"] if withdrawn else None,
            )
    except Exception as error:  # of the client, of whichever HTTP library it has, of the system
        raise InputError(f"{repository}: not pushed: {' '.join(str(error).split())[:300]}") from error
    return str(made.commit_url)
