# SPDX-License-Identifier: BSD-2-Clause
"""The build's own tools: boot volumes, symbol tables, the room lint, initrds, the emulator."""
import os
import shutil
import struct
import subprocess
import sys
import zlib

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{TOP}/tools")

from lablib import judges, mended  # noqa: E402

PART_AT = 1 << 20


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, check=False, **kw)


@pytest.fixture(name="volume")
def make_volume(tmp_path):
    files = {}
    for name, size in (("loader", 5000), ("kernel", 300000), ("conf", 20), ("initrd", 12345)):
        files[name] = tmp_path / name
        files[name].write_bytes(bytes([size & 0xff]) * size)
    image = tmp_path / "out.img"
    done = run(f"{TOP}/tools/mkimage", "-o", str(image), "--efi", str(files["loader"]),
               "--kernel", str(files["kernel"]), "--conf", str(files["conf"]),
               str(files["initrd"]))
    assert done.returncode == 0, done.stderr
    return image, files


def test_volume_has_the_files(volume):
    image, files = volume
    for name, path in (("loader", "/EFI/BOOT/BOOTX64.EFI"), ("kernel", "/tern/kernel.elf"),
                       ("conf", "/tern.conf"), ("initrd", "/boot/initrd")):
        got = subprocess.run(["mtype", "-i", f"{image}@@{PART_AT}", "::" + path],
                             capture_output=True, check=True).stdout
        assert got == files[name].read_bytes()


@pytest.mark.parametrize("which", ["first", "backup"])
def test_volume_has_a_sound_partition_table(volume, which):
    data = volume[0].read_bytes()
    last = len(data) // 512 - 1
    here = 1 if which == "first" else last
    head = bytearray(data[here * 512:here * 512 + 92])
    magic, _, size, crc, _, at, other, _, _ = struct.unpack_from("<8sIIIIQQQQ", head)
    table, count, width, table_crc = struct.unpack_from("<QIII", head, 72)
    struct.pack_into("<I", head, 16, 0)
    assert (magic, size, at, other) == (b"EFI PART", 92, here, 1 + last - here)
    assert zlib.crc32(head) == crc
    assert zlib.crc32(data[table * 512:table * 512 + count * width]) == table_crc


def test_volume_needs_its_files(tmp_path):
    done = run(f"{TOP}/tools/mkimage", "-o", str(tmp_path / "x"), "--efi", "no-such",
               "--kernel", "no-such", "--conf", "no-such")
    assert done.returncode == 1
    assert "no-such: no such file" in done.stderr
    assert not (tmp_path / "x").exists()


def test_symbol_table_is_sorted_and_names_functions(tmp_path):
    source = tmp_path / "t.s"
    source.write_text(".globl __text_start\n__text_start:\n.globl one, two\n"
                      "one: nop\n nop\ntwo: ret\n")
    subprocess.run(["gcc", "-c", source, "-o", tmp_path / "t.o"], check=True)
    out = run(f"{TOP}/tools/ksyms", "table", str(tmp_path / "t.o")).stdout
    assert ".long 0x0, 0" in out and ".long 0x2, 4" in out
    assert out.index('"one"') < out.index('"two"')


@pytest.fixture(name="tree")
def make_tree(tmp_path):
    """A tree of two rooms with the tool in it."""
    for folder in ("tools", "include/tern", "drivers", "kernel/vm"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(f"{TOP}/tools/checkrooms", tmp_path / "tools")
    (tmp_path / "include/tern/vm.h").write_text("int vm_start(void);\n")
    (tmp_path / "kernel/vm/vm.c").write_text("#include <tern/vm.h>\n"
                                             "int vm_start(void) { return 0; }\n"
                                             "int vm_inner(void) { return 0; }\n")
    return tmp_path


def check(tree, source, text):
    (tree / source).write_text(text)
    for path in (source, "kernel/vm/vm.c"):
        out = tree / "obj" / (path + ".o")
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", f"-I{tree}/include", "-c", tree / path, "-o", out], check=True)
    return run(str(tree / "tools/checkrooms"), str(tree / "obj"))


def test_rooms_allowed(tree):
    assert check(tree, "kernel/main.c", "#include <tern/vm.h>\n"
                 "int f(void) { return vm_start(); }\n").returncode == 0


def test_rooms_refuses_an_include(tree):
    done = check(tree, "drivers/d.c", "#include <tern/vm.h>\nint d;\n")
    assert done.returncode == 1
    assert "room drivers may not include a face of vm" in done.stderr


def test_rooms_refuses_a_symbol(tree):
    done = check(tree, "drivers/d.c", "int vm_inner(void);\nint d(void) { return vm_inner(); }\n")
    assert done.returncode == 1
    assert "vm_inner, which is internal to vm" in done.stderr


def test_judge_lines_are_shown_as_on_a_terminal():
    counting = "  Solid Bits: setting  0" + "\b" * 10 + "ok" + " " * 8
    assert judges.shown(counting) == "  Solid Bits: ok"
    assert judges.shown("ab\b\b\b\bc") == "cb"
    assert judges.shown("as it is ") == "as it is "


def test_judges_come_with_all_that_they_need():
    if not os.path.exists(f"{judges.ROOT}/.unpacked"):
        pytest.skip("tools/setup has not run here")
    for name in judges.PROGRAMS:
        got = judges.files([name])
        assert {f"bin/{name}", "bin/judge", judges.LOADER,
                f"{judges.LIBRARIES}/libc.so.6"} <= set(got)
        assert all(os.path.exists(path) for path in got.values())


EMULATOR = """
static volatile int word = 1;
void NAME(void) { word = 0; }
int main(void) { NAME(); return word; }
"""


def emulator_with(tmp_path, function):
    (tmp_path / "e.c").write_text(EMULATOR.replace("NAME", function))
    made = run("cc", "-O1", "-fno-inline", "-rdynamic", "-o", str(tmp_path / "emulator"),
               str(tmp_path / "e.c"))
    assert made.returncode == 0, made.stderr
    return str(tmp_path / "emulator")


def test_mended_emulator_leaves_the_other_cpus_word_alone(tmp_path):
    installed = emulator_with(tmp_path, mended.FUNCTION)
    copy = mended.program(installed, str(tmp_path / "place"))
    assert run(installed).returncode == 0
    assert run(copy).returncode == 1
    before = os.stat(copy).st_ino
    assert mended.program(installed, str(tmp_path / "place")) == copy
    assert os.stat(copy).st_ino == before


def test_emulator_without_the_fault_runs_as_it_is(tmp_path):
    installed = emulator_with(tmp_path, "something_else")
    assert mended.program(installed, str(tmp_path / "place")) == installed
    assert mended.program("no-such-emulator") == "no-such-emulator"
