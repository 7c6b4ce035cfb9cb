"""The checker of links finds what is broken, and nothing else."""

import pathlib
import tempfile
import unittest

import links

FILES = {
    "README.md": "# Title\n[a](docs/a.md#a-heading) [b](docs) [c](#title) [d](https://example.com/x) [e](LICENSE)\n",
    "docs/a.md": "# A `heading`\n[up](../README.md) <a id=\"own\"></a> [own](#own)\n\n```\n[code](nowhere.md)\n```\n",
    "LICENSE": "",
}


class LinksTest(unittest.TestCase):
    def broken(self, **more):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            files = FILES | {"docs/b.md": more.get("text", "")}
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return links.broken(root, list(files))

    def test_good_links_pass(self):
        self.assertEqual(self.broken(), [])

    def test_broken_links_are_found(self):
        for link, problem in [
            ("c.md", "no such file in the repository"),
            ("../docs/a.md/x", "no such file in the repository"),
            ("a.md#another", "no such heading in that file"),
            ("#another", "no such heading in that file"),
            ("../../b.md", "leads out of the repository"),
            ("/docs/a.md", "must be relative"),
        ]:
            self.assertEqual(self.broken(text=f"[x]({link})"), [f"docs/b.md: {link}: {problem}"])

    def test_links_in_tables_are_checked(self):
        self.assertEqual(len(self.broken(text="| a |\n|---|\n| [x](c.md) |\n")), 1)


if __name__ == "__main__":
    unittest.main()
