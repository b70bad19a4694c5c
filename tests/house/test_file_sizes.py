"""No source file grows past the point where it holds more than one concept."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[2] / "trio_h2"
_MAX_LINES = 500


def _too_long(root: Path) -> list[str]:
    """Returns the Python files under *root* with more than `_MAX_LINES` lines, with their length."""
    found = []
    for path in sorted(root.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > _MAX_LINES:
            found.append(f"{path.relative_to(root)}: {lines} lines")
    return found


def test_source_files_are_short() -> None:
    assert (_PACKAGE / "_version.py").exists(), "the package has moved: this test looks at nothing"
    assert _too_long(_PACKAGE) == []


def test_a_long_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "fits.py").write_text("x = 1\n" * _MAX_LINES)
    (tmp_path / "sub" / "long.py").write_text("x = 1\n" * (_MAX_LINES + 1))
    assert _too_long(tmp_path) == [f"{Path('sub', 'long.py')}: 501 lines"]
