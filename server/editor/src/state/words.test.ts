import { expect, test } from "vitest";
import { about, bytes, counted, duration } from "./words";

test("seconds in words", () => {
  const said = [0, 0.0002, 0.04, 0.1, 2.13, 13.1, 48.2, 72, 3723].map(duration);
  expect(said).toEqual(["0 s", "0.2 ms", "40 ms", "0.1 s", "2.1 s", "13.1 s", "48 s", "1:12", "1:02:03"]);
  expect([0, 0.01, 0.1, 4.52, 10.2, 75].map(about)).toEqual(["≈ 0 s", "≈ 0 s", "≈ 0.1 s", "≈ 4.5 s", "≈ 10 s", "≈ 1:15"]);
});

test("counts and sizes in words", () => {
  expect([counted(1, "problem"), counted(3, "problem"), counted(0, "entry", "entries")]).toEqual(["1 problem", "3 problems", "0 entries"]);
  expect([12, 999, 12_872, 3_400_000, 19_327_352_832].map(bytes)).toEqual(["12 B", "999 B", "12.9 kB", "3.4 MB", "19.3 GB"]);
});
