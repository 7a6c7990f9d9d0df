"""What `cmake --install` leaves: programs that find each other, manual pages, completions."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from support import engine as support
from support.registry import busybox_rootfs


def setUpModule():
    global prefix
    prefix = pathlib.Path(tempfile.mkdtemp(prefix="coffer-prefix-"))
    subprocess.run(["cmake", "--install", support.BIN.parent, "--prefix", prefix], check=True,
                   stdout=subprocess.DEVNULL)


def tearDownModule():
    shutil.rmtree(prefix)


def output_of(*command, **options):
    env = {**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=env, timeout=60, **options).stdout


class Programs(unittest.TestCase):
    def test_all_are_there(self):
        self.assertEqual(sorted(os.listdir(prefix / "bin")),
                         ["coffer", "coffer-files", "coffer-init", "coffer-logger", "coffer-oci", "coffer-shim",
                          "coffer-unpack", "cofferd"])

    def test_the_engine_finds_its_helpers(self):
        built, support.BIN = support.BIN, prefix / "bin"
        try:
            engine = support.Engine()
        finally:
            support.BIN = built
        self.addCleanup(engine.close)
        engine.docker("import", "-c", "ENV PATH=/bin", "-", "box", input=busybox_rootfs())
        out = output_of("coffer", "-H", f"unix://{engine.socket}", "run", "--rm", "box", "echo", "hi")
        self.assertEqual(out, "hi\n")


class Manual(unittest.TestCase):
    def test_a_page_for_every_command(self):
        pages = os.listdir(prefix / "share/man/man1")
        for page in ("coffer.1", "coffer-run.1", "coffer-container-run.1", "coffer-man.1", "coffer-oci.1",
                     "coffer-oci-exec.1"):
            self.assertIn(page, pages)
        self.assertGreater(len(pages), 60)

    def test_the_engines_page_has_every_flag(self):
        # A help text that goes on in another line may begin with a flag there.
        shown = re.findall(r"^ {2,6}(?:-\w, )?--([\w-]+)", output_of("cofferd", "--help"), re.M)
        page = (prefix / "share/man/man8/cofferd.8").read_text().replace("\\-", "-")
        self.assertEqual(re.findall(r"\\fB--([\w-]+)", page), shown)
        self.assertEqual(shown, sorted(shown))
        self.assertIn("signature-policy", shown)
        self.assertIn("\\fBinsecure-registries\\fR\n--insecure-registry\n", page)
        self.assertEqual(output_of("cofferd", "--man").replace("\\-", "-"), page)

    def test_no_warnings(self):
        for page in sorted((prefix / "share/man").glob("man?/*")):
            with self.subTest(page=page.name):
                run = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", page], capture_output=True,
                                     text=True)
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                self.assertIn("SYNOPSIS", run.stdout)


class RuntimeOptions(unittest.TestCase):
    """Every option that --help of coffer-oci shows stands in the manual and in the completion."""

    def test_of_every_command(self):
        commands = [line.split("\t")[0] for line in
                    output_of("coffer-oci", "__complete", "--", "").splitlines()]
        self.assertIn("update", commands)
        for command in [None, *commands]:
            words = [command] if command else []
            with self.subTest(command=command):
                shown = re.findall(r"^ +(?:-\w, )?--([\w-]+)", output_of("coffer-oci", *words, "--help"), re.M)
                page = prefix / "share/man/man1" / ("-".join(["coffer-oci", *words]) + ".1")
                in_page = re.findall(r"\\fB--([\w-]+)", page.read_text().replace("\\-", "-"))
                offered = output_of("coffer-oci", "__complete", "--", *words, "--").splitlines()
                self.assertEqual(in_page, shown)
                self.assertEqual([line.split("\t")[0][2:] for line in offered], shown)
        self.assertEqual(len(commands), len(set(commands)))


class Completions(unittest.TestCase):
    def test_bash(self):
        for program, typed, offered in (("coffer", "imp", "import\n"), ("coffer-oci", "upd", "update\n")):
            script = prefix / "share/bash-completion/completions" / program
            out = output_of("bash", "--norc", "-c",
                            f"source {script}; COMP_WORDS=({program} {typed}); COMP_CWORD=1; _{program};"
                            "echo ${COMPREPLY[@]}")
            self.assertEqual(out, offered)

    def test_zsh_of_the_runtime(self):
        out = output_of("zsh", "-f", "-c",
                        f"fpath=({prefix}/share/zsh/site-functions $fpath);"
                        "autoload -Uz compinit; compinit -D -u; echo $_comps[coffer-oci];"
                        "_describe() { print -rl -- ${(P)2} }; words=(coffer-oci kill --a); CURRENT=3;"
                        "_coffer-oci")
        self.assertEqual(out, "_coffer-oci\n--all:to every process of the container\n")

    def test_zsh(self):
        # As the completion system finds and calls it; what it offers is printed.
        out = output_of("zsh", "-f", "-c",
                        f"fpath=({prefix}/share/zsh/site-functions $fpath);"
                        "autoload -Uz compinit; compinit -D -u; echo $_comps[coffer];"
                        "_describe() { print -rl -- ${(P)2} }; _files() { echo files };"
                        "words=(coffer impo); CURRENT=2; _coffer;"
                        "words=(coffer save --out); CURRENT=3; _coffer;"
                        "words=(coffer load ''); CURRENT=3; _coffer")
        self.assertEqual(out.splitlines(), [
            "_coffer", "import:Import the contents from a tarball to create a filesystem image",
            "--output:Write to a file, instead of STDOUT", "files"])

    def test_fish(self):
        for program, typed, offered in (("coffer", "impo", "import\tImport the contents"),
                                        ("coffer-oci", "check", "checkpoint\t")):
            out = output_of("fish", "--no-config", "-c",
                            f"source {prefix}/share/fish/vendor_completions.d/{program}.fish;"
                            f"complete -C '{program} {typed}'")
            self.assertIn(offered, out)


if __name__ == "__main__":
    unittest.main()
