"""``altiplano release ACTION FOLDER``: sign, verify, correct, withdraw, push. Of a recipe it is a stage like others."""

import argparse
import sys
from pathlib import Path

from altiplano.cli.arguments import complain
from altiplano.errors import InputError

ACTIONS = ("key", "sign", "verify", "correct", "withdraw", "push")
EXAMPLES = """
  altiplano release key release.key
  altiplano release sign runs/quickstart/release --key release.key
  altiplano release verify runs/quickstart/release --key release.key.pub
  altiplano release correct runs/quickstart/release --text "The licence of one source was wrong."
  altiplano release withdraw runs/quickstart/release --text "It repeats a person's address."
  altiplano release push runs/quickstart/release --to ORG/NAME --key release.key.pub

key makes a private key and its public one; sign again after every edit (the weights are not read again); verify takes
the public key, which must come from elsewhere than the folder; correct and withdraw write a notice into the card."""


def add(sub: argparse.ArgumentParser) -> None:
    sub.epilog = (sub.epilog or "").replace("\n\n", EXAMPLES + "\n\n", 1)
    sub.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help=f"the release's folder, where RECIPE is one of {', '.join(ACTIONS)}; of key the file to write",
    )
    sub.add_argument("--key", type=Path, metavar="KEY", help="sign: the private key; verify, push: the public one")
    sub.add_argument(
        "--unsigned", action="store_true", help="verify, push: everything but the signature, without a key"
    )
    sub.add_argument("--run", type=Path, metavar="RUN", help="verify: compare with the run's own folder, too")
    sub.add_argument("--text", default="", metavar="TEXT", help="correct, withdraw: what readers of the card must know")
    sub.add_argument("--to", default="", metavar="ORG/NAME", help="push: the repository on the hub")
    sub.add_argument("--endpoint", metavar="URL", help="push: another hub than Hugging Face's (default: HF_ENDPOINT)")
    sub.add_argument("--private", action="store_true", help="push: a new repository is private")


def is_action(options: argparse.Namespace) -> bool:
    """Whether the first argument is an action. A folder after anything else is a mistake."""
    if options.recipe in ACTIONS:
        return True
    if options.folder is not None:
        raise InputError(f"{options.recipe} is no action: give one of {', '.join(ACTIONS)} before the folder")
    return False


def run(options: argparse.Namespace) -> int:
    action, folder = options.recipe, options.folder
    if folder is None:
        what = "the file to write, such as release.key" if action == "key" else "the release's folder"
        raise InputError(f"altiplano release {action}: name {what}")
    if action != "key" and (folder / "release" / "config.json").exists():  # the run's own folder
        folder = options.folder = folder / "release"
    if action != "key" and not (folder / "config.json").exists():
        raise InputError(f"{folder} is no release: give the folder that altiplano release RECIPE wrote")
    if action == "verify":
        return _verify(options)
    if action in ("correct", "withdraw"):
        from altiplano.release.notices import add_notice

        add_notice(folder, "erratum" if action == "correct" else "withdrawn", options.text)
        print(f"{folder}/README.md says so; sign it again: altiplano release sign {folder} --key KEY")
    elif action == "push":
        from altiplano.release.push import push

        print(push(folder, options.to, public=_public(options), endpoint=options.endpoint, private=options.private))
    elif action == "key":
        from altiplano.release.signing import make_key

        print(f"{folder} is private: keep it; {make_key(folder)} is for those who verify")
    else:
        from altiplano.release.signing import SIGNATURE, sign

        if options.key is None:
            raise InputError("sign needs --key KEY, a private key; altiplano release key makes one")
        read = sign(folder, options.key)
        print(f"{folder / SIGNATURE}: signed; {read} files were read")
    return 0


def remind(folder: Path) -> None:
    """Say that a new release is not signed: the key is not the run's business."""
    if not (folder / "model.sig").exists():
        print(f"{folder} is not signed: altiplano release sign {folder} --key KEY", file=sys.stderr)


def _verify(options: argparse.Namespace) -> int:
    from altiplano.release.verification.verify import not_recomputed, verify

    public = _public(options)
    if options.run is not None and not (options.run / "train" / "weights").is_dir():
        raise InputError(f"{options.run} is no finished run: give the folder with its stages, such as runs/NAME")
    problems = verify(options.folder, public, options.run)
    for problem in problems:
        print(f"✗ {problem}")
    if problems:
        return complain(f"{options.folder} does not verify", 1)
    for line in not_recomputed(options.folder):
        print(f"· {line}")
    signed = f"signed by the key of {public.name}" if public else "its signature was not looked at"
    print(f"✓ {options.folder}: {signed}; every figure follows from its evidence")
    return 0


def _public(options: argparse.Namespace) -> Path | None:
    """The key that was given. Raises InputError when none was, and nobody said that none is wanted."""
    if options.key is None and not options.unsigned:
        raise InputError(
            f"altiplano release {options.recipe} needs --key KEY, the publisher's public key from elsewhere than the "
            "folder; --unsigned looks at everything but the signature"
        )
    key: Path | None = None if options.unsigned else options.key
    return key
