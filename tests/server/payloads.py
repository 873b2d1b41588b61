"""Names that try to leave the folder in which a name is looked up; each is fed to every function that takes one."""

from __future__ import annotations

DIGITS = "ab" * 32

TRAVERSALS = (
    *("..", ".", "../", "./", "/", "//", "\\", "..\\", "../..", "..//..", "....//", "..././", "/..", "/../"),
    *("../secret", "../../secret", "../../../../etc/passwd", "/etc/passwd", "//etc/passwd", "file:///etc/passwd"),
    *("..\\..\\secret", "C:\\secret", "C:/secret", "c:secret", "\\\\host\\share\\secret", "//host/share/secret"),
    *("secret\0", "a\0.json", "\0", "a/../../secret", "a/../b", "a/./b", "a//b", "a/b", "a\\b", "~", "~/secret"),
    *("~root/secret", "$HOME/secret", "${HOME}", "%2e%2e/secret", "%2e%2e%2fsecret", "..%2fsecret", "..%c0%afsecret"),
    *("%252e%252e%252fsecret", "..;/secret", "．．/secret", "‥/secret", "․․/secret", "..／secret", "..∕secret"),
    *("secret\n", "secret\r\nX: y", "a\tb", "a\x1b[31m", "\u202egnp.exe", "\ufeffsecret", ".hidden", "..json", ".lock"),
    *("a|b", "a;b", "a&b", "a`b`", "$(b)", "a>b", "a<b", "*", "?", "a:b", 'a"b', "'", "", "x" * 101, "é" * 51),
    *("CON", "nul", "com1", "LPT9.json", "aux.tar.gz", "\udcff", "-\u0000-", "/proc/self/environ", "/dev/zero"),
    *(f"sha256:../{DIGITS}", f"sha256:{DIGITS}/..", f"sha256:/{DIGITS}", f"sha256:{DIGITS}\n", f"sha256:{DIGITS[:63]}"),
    *(f"sha256:{DIGITS}0", f"SHA256:{DIGITS}", f"sha256:{DIGITS.upper()}", f"sha1:{DIGITS}", f"../sha256:{DIGITS}"),
)
