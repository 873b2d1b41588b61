/** Live mode: an edit shows at once, and only what it changes is computed. */
import { expect, scenario, textToImage } from "./harness";
import { eventsOf, jobsOf, lateGuidance, listenTo, longRun, newSeed, type Told } from "./harness/watch";

scenario("a late change of a 50-step run shows after the steps that remain", async (editor) => {
  const told = listenTo(editor);
  await editor.goto();
  const title = `late ${newSeed()}`;
  await editor.open(lateGuidance(), `${title}.json`);
  await editor.run();
  // Runs are counted on from those of other scenarios.
  const number = async () => Number(/of run (\d+)/.exec((await editor.card("save").getByRole("img").getAttribute("alt")) ?? "")?.[1]);
  await expect.poll(number).toBeGreaterThan(0);
  const first = await number();
  const before = told.length;
  await editor.page.getByRole("switch", { name: "Live" }).click();
  const field = editor.card("pag").getByRole("spinbutton", { name: /scale/ });
  await field.fill("3");
  await editor.run(() => field.press("Enter"));
  const news = told.slice(before);
  const resumed = news.find((event) => event.event === "node_resumed") as Told & { steps: number };
  expect(resumed.steps).toBe(45);
  // Progress is thinned, but never begins before the step that is resumed from.
  const steps = news.filter((event) => event.event === "node_progress" && event.node === "denoise").map((event) => Number(event["step"]));
  for (const step of steps) expect(step).toBeGreaterThanOrEqual(45);
  const stored = await eventsOf(editor, resumed.job ?? "");
  expect(stored.filter((event) => event.event === "node_resumed")).toHaveLength(1);
  expect(stored.filter((event) => event.event === "node_finished").map((event) => event.node).sort()).toEqual(["denoise", "image", "late", "pag", "save"]);
  // The picture is another run's, and there were no more runs than these two.
  await expect.poll(number).toBeGreaterThan(first);
  expect((await jobsOf(editor, title)).map((job) => job.state)).toEqual(["done", "done"]);
}, { path: "" });

scenario("an edit overtakes its own run and no other", async (editor) => {
  const [other, mine] = [`other ${newSeed()}`, `mine ${newSeed()}`];
  await editor.open(longRun(40), `${other}.json`);
  await editor.press("Control+Enter");
  await editor.hear(/started/);
  const document = longRun(60);
  await editor.page.getByRole("button", { name: "New workflow" }).click();
  await editor.open(document, `${mine}.json`);
  await editor.page.getByRole("switch", { name: "Live" }).click();
  await expect.poll(async () => (await jobsOf(editor, mine)).length, { timeout: 8000 }).toBe(1);
  const field = editor.card("cfg").getByRole("spinbutton", { name: /scale/ });
  await field.fill("5");
  await field.press("Enter");
  await expect.poll(async () => (await jobsOf(editor, mine)).map((job) => job.state).sort(), { timeout: 15_000 }).toContain("cancelled");
  const slots = new Set((await jobsOf(editor, mine)).map((job) => job.slot));
  expect(slots.size).toBe(1);
  await expect.poll(async () => (await jobsOf(editor, other))[0]?.state, { timeout: 20_000 }).toBe("done");
  await expect.poll(async () => (await jobsOf(editor, mine)).map((job) => job.state), { timeout: 20_000 }).toEqual(["done", "cancelled"]);
  expect((await jobsOf(editor, other))[0]?.slot).toBeNull();
});

scenario("a run of more than 20 s is asked about once", async (editor) => {
  // What the server expects is told to be long: nobody waits 20 s for a scenario.
  await editor.page.route("**/api/v1/plan", async (route) => {
    const answer = await route.fetch();
    const plan = (await answer.json()) as { seconds: number | null };
    await route.fulfill({ response: answer, json: { ...plan, seconds: 42 } });
  });
  await editor.goto();
  const jobs = editor.countRequests(/^POST \/api\/v1\/jobs$/);
  await editor.open(textToImage({ seed: newSeed(), steps: 1 }), "slow.json");
  await editor.page.getByRole("switch", { name: "Live" }).click();
  const notice = editor.page.getByRole("status").filter({ hasText: "A live run takes about 42 s." });
  await notice.waitFor();
  expect(jobs.count).toBe(0);
  await editor.run(() => notice.getByRole("button", { name: "Run live" }).click());
  expect(jobs.count).toBe(1);
  const field = editor.card("cfg").getByRole("spinbutton", { name: /scale/ });
  await field.fill("6");
  await editor.run(() => field.press("Enter"));
  expect(jobs.count).toBe(2);
  expect(await notice.count()).toBe(0);
}, { path: "" });

scenario("live is off after Turn live off, and an edit runs nothing", async (editor) => {
  await editor.page.route("**/api/v1/plan", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), seconds: 42 } });
  });
  await editor.goto();
  const jobs = editor.countRequests(/^POST \/api\/v1\/jobs$/);
  const plans = editor.countRequests(/^POST \/api\/v1\/plan$/);
  await editor.open(textToImage({ seed: newSeed(), steps: 1 }), "off.json");
  const live = editor.page.getByRole("switch", { name: "Live" });
  await live.click();
  await editor.page.getByRole("button", { name: "Turn live off" }).click();
  expect(await live.getAttribute("aria-checked")).toBe("false");
  const asked = plans.count;
  const field = editor.card("cfg").getByRole("spinbutton", { name: /scale/ });
  await field.fill("6");
  await field.press("Enter");
  await expect.poll(() => plans.count).toBeGreaterThan(asked);
  // Live would have run 300 ms after the edit: the plan's own pause is over, its answer is there, and so is the button's word.
  await expect.poll(() => editor.runButton.textContent()).toMatch(/≈ 42 s/);
  expect(jobs.count).toBe(0);
}, { path: "" });
