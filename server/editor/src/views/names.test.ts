import { describe, expect, it } from "vitest";
import { asName, nameFault, proposedName } from "./names";

describe("names of saved workflows", () => {
  it("has letters and digits of every script", () => {
    for (const name of ["dome", "Kölner Dom 2", "大聖堂", "храм_1", "a.b-c", "constructor", "__proto__", "console", "com10"]) expect(nameFault(name)).toBeNull();
  });
  it("says what cannot be in a name", () => {
    for (const name of ["a/b", "a\\b", "a:b", "a\nb", "½", "x²", "😀", "..", ".dome", "", "  ", "a\u0000"]) expect(nameFault(name)).not.toBeNull();
    expect(nameFault("a/b")).toContain("not /");
  });
  it("counts bytes after the letters were put together", () => {
    expect(nameFault("a".repeat(100))).toBeNull();
    expect(nameFault("a".repeat(101))).toContain("101");
    expect(nameFault("é".repeat(51))).toContain("102");
    // 102 characters and 153 bytes as they are typed, 102 bytes put together; and one letter fewer.
    expect(nameFault("e\u0301".repeat(51))).toContain("102");
    expect(nameFault("e\u0301".repeat(50))).toBeNull();
    expect(asName(" e\u0301 ")).toBe("é");
  });
  it("refuses names of devices", () => {
    for (const name of ["con", "NUL", "com1", "lpt9.json", "aux.tar.gz"]) expect(nameFault(name)).toContain("device");
  });
  it("proposes a name that can be one", () => {
    expect(proposedName("Kölner Dom: bei Nacht?")).toBe("Kölner Dom- bei Nacht");
    expect(proposedName("...hidden")).toBe("hidden");
    expect(proposedName("con")).toBe("con_");
    for (const title of ["con.fig", "é".repeat(80), "大".repeat(60), "a/b\\c", "nul"]) expect(nameFault(proposedName(title))).toBeNull();
  });
});
