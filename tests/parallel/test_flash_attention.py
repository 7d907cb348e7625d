"""FlashAttention 4 that is missing, or installed and broken, is refused in one line."""

import sys
from pathlib import Path

import pytest
import torch

from altiplano.errors import InputError
from altiplano.model import attention
from altiplano.parallel.flash_attention import use_flash_attention


@pytest.mark.parametrize("cute", [None, "import nothing_of_this_name", "raise ImportError('libcute.so\\nis old')", ""])
def test_the_package_is_imported_before_it_is_used(
    cute: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(attention, "flash_attention", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("flash_attn", "flash_attn.cute"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "flash_attn").mkdir()
    (tmp_path / "flash_attn/__init__.py").touch()
    if cute is not None:
        (tmp_path / "flash_attn/cute.py").write_text(cute)
    device = torch.device("cuda", 0)
    if cute == "":
        use_flash_attention(True, device)
    else:
        with pytest.raises(InputError, match=r"cannot be imported \(.*pip install 'altiplano\[flash\]'") as raised:
            use_flash_attention(True, device)
        assert "\n" not in str(raised.value)
    assert attention.flash_attention == (cute == "")
    use_flash_attention(False, device)
