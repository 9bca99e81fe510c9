"""Pages of 2 MiB for whom they are to be had, and when garbage is looked for."""

import gc
import os
import subprocess
import sys

import pytest

from pan_tf import cli
from pan_tf import memory

PROGRAM = (
    "import os, sys\n"
    "from pan_tf import memory\n"
    "memory.begin_with_huge_pages()\n"
    "print(os.getpid(), os.environ.get('GLIBC_TUNABLES'), sys.argv[1:])\n"
)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """glibc 2.35, and a kernel that gives huge pages to who asks."""
    path = tmp_path / "enabled"
    path.write_text("always [madvise] never\n")
    monkeypatch.setattr(memory, "_HUGE_PAGES", path)
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.35")
    return path


@pytest.mark.parametrize("value", [None, "", "glibc.malloc.arena_max=2"])
def test_a_process_begins_again_once_with_its_own_arguments(value):
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
    given = environment | ({} if value is None else {"GLIBC_TUNABLES": value})
    begun = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "a b", "--c"],
        env=given,
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = begun.communicate(timeout=60)
    if value is None and memory._are_to_be_had():
        value = (
            "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:"
            "glibc.malloc.trim_threshold=1073741824"
        )
    assert said == f"{begun.pid} {value} ['a b', '--c']\n"


def test_huge_pages_are_asked_for_where_who_asks_gets_them(kernel):
    assert memory._are_to_be_had()
    for setting in ("[always] madvise never", "always madvise [never]"):
        kernel.write_text(setting)
        assert not memory._are_to_be_had()
    kernel.unlink()
    assert not memory._are_to_be_had()


@pytest.mark.parametrize("library", ["glibc 2.34", "musl 1.2.5", "", None])
def test_other_libraries_are_not_asked(library, kernel, monkeypatch):
    monkeypatch.setattr(os, "confstr", lambda name: library)
    assert not memory._are_to_be_had()


def test_a_process_that_has_imported_tensorflow_goes_on(kernel, monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("It began again."))
    assert "tensorflow" in sys.modules
    memory.begin_with_huge_pages()
    assert "GLIBC_TUNABLES" not in os.environ


@pytest.mark.parametrize(
    ("flag", "is_process", "begins"),
    [("--data_dir=none", True, 1), ("--data_dir=none", False, 0), ("--no", True, 0)],
)
def test_a_command_of_its_own_process_begins_so_once_its_flags_are_known(
    flag, is_process, begins, monkeypatch, tmp_path
):
    begun = []
    monkeypatch.setattr(memory, "begin_with_huge_pages", lambda: begun.append(1))
    monkeypatch.setattr(memory, "begin_without_collections", lambda: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.run("doctor", [flag], is_process=is_process)
    assert len(begun) == begins


def test_a_command_of_its_own_process_looks_for_garbage_after_a_while(monkeypatch):
    begun = []
    monkeypatch.setattr(memory, "begin_with_huge_pages", lambda: None)
    monkeypatch.setattr(memory, "begin_without_collections", lambda: begun.append(1))
    for is_process in (False, True):
        with pytest.raises(SystemExit):
            cli.run("doctor", ["--data_dir=none"], is_process=is_process)
        assert len(begun) == is_process


def test_no_garbage_is_looked_for_until_then():
    assert gc.isenabled()
    try:
        waiting = memory.begin_without_collections(0.2)
        assert not gc.isenabled() and waiting.daemon
        waiting.join(10)
        assert gc.isenabled()
    finally:
        gc.enable()
