import { expect, test } from "vitest";
import type { Change } from "../service/types";
import { changeWords, whyWords } from "./why";

test("each change is a sentence's worth of words", () => {
  const said: [Change, string][] = [
    [{ what: "input", input: "seed", was: "7", now: "8" }, "seed was 7 and is 8"],
    [{ what: "input", input: "seed", now: "8" }, "seed is 8 now"],
    [{ what: "input", input: "seed", was: "7" }, "seed was 7 and is not set any more"],
    [{ what: "input", input: "seed" }, "seed is another one"],
    [{ what: "upstream", source: "draw" }, "draw gives another result"],
    [{ what: "upstream" }, "a node before it gives another result"],
    [{ what: "file", now: "a.png" }, "the file a.png has changed"],
    [{ what: "always" }, "it runs each time"],
  ];
  for (const [change, words] of said) expect(changeWords(change)).toBe(words);
  expect(whyWords([{ what: "always", text: "the server's words" }, { what: "code" }])).toBe("the server's words, the code of its pack has changed");
  expect(whyWords(undefined)).toBe("");
});
