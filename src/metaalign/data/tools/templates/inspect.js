"use strict";
// Everything that comes from the dataset goes in as text: textContent and attributes, never markup.
const groups = JSON.parse(document.getElementById("groups").textContent);
const PAGE = 8;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const byId = (id) => document.getElementById(id);
let found = groups;
let shown = 0;

function make(tag, name, text, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined && text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

function letter(number) {
  const again = Math.floor(number / 26);
  return LETTERS[number % 26] + (again ? again + 1 : "");
}

function title(tier) {
  return tier.split("_").map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(" ");
}

function asked(ask) {
  const [, dimension, value, explicit] = ask;
  return `${dimension} = ${value}${explicit ? "" : " (implicit)"}`;
}

function tierText(tier, segments, asks) {
  const text = make("dd", "said");
  for (const [words, numbers] of segments) {
    if (!numbers.length) {
      text.append(words);
      continue;
    }
    const mark = make("mark", numbers.some((n) => asks[n][3]) ? "" : "implicit", words);
    mark.title = numbers.map((n) => asked(asks[n])).join("; ");
    text.append(mark);
  }
  return [make("dt", "", title(tier)), text];
}

function ordered(view, candidates) {
  const list = make("ol", "order");
  const places = view.ranks.map((rank, i) => [rank, i]).filter(([rank]) => rank !== null);
  places.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const best = places.length ? places[0][0] : null;
  const several = places.some(([rank]) => rank !== best);
  for (const [rank, i] of places) {
    const item = make("li", rank === best && several ? "best" : "");
    item.append(make("b", "", letter(i)), make("span", "clamp", candidates[i][1]));
    list.append(item);
  }
  if (!places.length) list.append(make("li", "", "no candidate is before another"));
  return list;
}

function viewCard(view, number, group) {
  const card = make("div", "card");
  card.append(make("h4", "", `View ${number + 1}`));
  card.append(make("p", "over", `${view.order || "no order"} · ordered by ${view.by || "nobody"}`));
  const said = make("dl");
  for (const [tier, segments] of view.tiers) said.append(...tierText(tier, segments, view.asks));
  if (!view.tiers.length) said.append(make("dt", "", "Meta-Prompt"), make("dd", "nothing", "empty"));
  card.append(said);
  if (view.asks.length) {
    const chips = make("ul", "chips");
    for (const ask of view.asks) {
      const chip = make("li", ask[3] ? "" : "implicit", asked(ask));
      chip.title = ask[4] ? `${title(ask[0])}: ${ask[4]}` : title(ask[0]);
      chips.append(chip);
    }
    card.append(chips);
  }
  card.append(ordered(view, group.candidates));
  if (view.annotations.length) {
    const own = make("ul", "plain");
    for (const [by, order] of view.annotations) own.append(make("li", "", `${by}: ${order}`));
    card.append(folded(`${view.annotations.length} annotators`, own));
  }
  if (view.why.length) {
    const sentences = make("ul", "plain");
    for (const sentence of view.why) sentences.append(make("li", "", sentence));
    card.append(folded("Why, by the Priority Matrix", sentences));
  }
  return card;
}

function folded(name, inside) {
  return make("details", "", null, make("summary", "", name), inside);
}

// The two views of the first flip come first, so that they stand side by side.
function viewOrder(group) {
  const all = group.views.map((_, i) => i);
  if (!group.flips.length) return all;
  const first = group.flips[0].slice(0, 2);
  return [...first, ...all.filter((i) => !first.includes(i))];
}

function flipText(group) {
  const pairs = new Map();
  for (const [v, w, a, b] of group.flips) {
    const key = `${v + 1} and ${w + 1}`;
    pairs.set(key, [...(pairs.get(key) || []), `${letter(a)} and ${letter(b)}`]);
  }
  return [...pairs].map(([views, own]) => `Views ${views} disagree about ${own.join(", ")}`);
}

function groupCard(group) {
  const article = make("article", "query");
  const query = group.turns.length ? group.turns[group.turns.length - 1][1] : "";
  article.append(make("h3", "", query || "(no query)"));
  const facts = [group.family, `${group.kind} query`, group.split, group.source, group.id];
  article.append(make("p", "over", facts.join(" · ")));
  if (group.turns.length > 1) {
    const talk = make("dl");
    for (const [role, text] of group.turns.slice(0, -1)) {
      talk.append(make("dt", "", role === "user" ? "Person" : "Assistant"), make("dd", "", text));
    }
    article.append(folded("Earlier in the talk", talk));
  }
  for (const line of flipText(group)) article.append(make("p", "flip", line));
  const pair = make("div", "pair");
  for (const number of viewOrder(group)) pair.append(viewCard(group.views[number], number, group));
  article.append(pair);
  const responses = make("dl");
  group.candidates.forEach(([by, text], i) => {
    responses.append(make("dt", "", `${letter(i)}, written by ${by}`), make("dd", "", text));
  });
  article.append(folded("All responses in full", responses));
  return article;
}

function textOf(group) {
  if (group.text === undefined) {
    group.text = JSON.stringify([group.id, group.turns, group.candidates,
      group.views.map((view) => [view.tiers.map(([, parts]) => parts.map(([words]) => words).join("")),
        view.asks])]).toLowerCase();
  }
  return group.text;
}

function matches(group) {
  for (const key of ["family", "split", "kind", "source"]) {
    const wanted = byId(key).value;
    if (wanted && group[key] !== wanted) return false;
  }
  const dimension = byId("dimension").value;
  if (dimension && !group.views.some((v) => v.asks.some((ask) => ask[1] === dimension))) return false;
  if (byId("flips").checked && !group.flips.length) return false;
  const words = JSON.stringify(byId("search").value.toLowerCase()).slice(1, -1);
  return !words.trim() || textOf(group).includes(words);
}

function more() {
  const list = byId("list");
  for (const group of found.slice(shown, shown + PAGE)) list.append(groupCard(group));
  shown = Math.min(shown + PAGE, found.length);
  byId("more").hidden = shown >= found.length;
  byId("count").textContent = `${found.length} of ${groups.length} groups match; ${shown} shown.`;
}

function update() {
  found = groups.filter(matches);
  shown = 0;
  byId("list").replaceChildren();
  more();
}

function fill(id, values) {
  const select = byId(id);
  for (const value of [...new Set(values)].sort()) {
    const option = make("option", "", value);
    option.value = value;
    select.append(option);
  }
}

for (const key of ["family", "split", "kind", "source"]) fill(key, groups.map((group) => group[key]));
fill("dimension", groups.flatMap((g) => g.views.flatMap((v) => v.asks.map((ask) => ask[1]))));
for (const id of ["family", "split", "kind", "source", "dimension", "flips"]) {
  byId(id).addEventListener("change", update);
}
byId("search").addEventListener("input", update);
byId("more").addEventListener("click", more);
byId("controls").hidden = false;
update();
