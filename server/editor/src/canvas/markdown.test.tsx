import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { isWebAddress, Markdown } from "./markdown";

const html = (text: string): string => renderToStaticMarkup(<Markdown text={text} />);

test("the subset becomes elements", () => {
  expect(html("**a** `b` *c*")).toContain("<strong");
  expect(html("# Title\n\n- one\n- two")).toContain("<li>one</li>");
  expect(html("see <dome>")).toContain("&lt;dome&gt;");
  expect(html("[text](https://example.org/a)")).toContain('href="https://example.org/a"');
});

test("nothing of a note is HTML, and only web addresses are links", () => {
  expect(html("<img src=x onerror=alert(1)>")).not.toContain("<img");
  expect(html("<script>alert(1)</script>")).not.toContain("<script");
  expect(html("[x](javascript:alert(1))")).not.toContain("href");
  expect(isWebAddress("data:text/html,x")).toBe(false);
});
