/* Pictures one by one, any two ways of each under a slider: the markup of viewer.html.
 * data: {views: {grey, truth}, words: {label: word}, methods, pictures: {index: {name, told: lines,
 * images: {label: address}, scores: {label: texts}}}}; truth, told and scores may be missing. */
function makeViewer(data) {
  const indices = Object.keys(data.pictures);
  if (!indices.length) return null;
  const [picture, left, right] = ["picture", "left", "right"].map(byId);
  const slider = makeSlider();
  const {grey, truth} = data.views;
  const views = [grey, truth, ...data.methods].filter(Boolean);
  const word = (label) => data.words[label] || label;

  picture.append(...indices.map((index) => new Option(data.pictures[index].name, index)));
  for (const side of [left, right]) {
    side.append(...views.map((label) => new Option(word(label), label)));
    side.parentElement.hidden = views.length < 3;
  }
  left.value = grey;
  right.value = data.methods[0] || truth;
  byId("variants").hidden = views.length < 3;

  function variant(label, shown) {
    const button = document.createElement("button");
    const image = new Image();
    image.src = shown.images[label];
    image.alt = "";
    const name = document.createElement("b");
    name.textContent = word(label);
    const scores = (shown.scores[label] || []).map((text) => {
      const line = document.createElement("span");
      line.textContent = text;
      return line;
    });
    button.type = "button";
    button.setAttribute("aria-pressed", String(label === right.value));
    button.append(image, name, ...scores);
    button.addEventListener("click", () => { right.value = label; show(); });
    return button;
  }

  function side(list, shown) {
    for (const option of list.options) option.disabled = !(option.value in shown.images);
    if (!(list.value in shown.images)) list.value = grey; // a method that failed on this picture
    return {src: shown.images[list.value], alt: shown.name + ", " + word(list.value), word: word(list.value)};
  }

  function show() {
    const shown = data.pictures[picture.value];
    slider.show(side(left, shown), side(right, shown));
    byId("told").replaceChildren(...(shown.told || []).map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    }));
    if (views.length < 3) return;
    byId("variants").replaceChildren(...views.filter((label) => label in shown.images).map((label) => variant(label, shown)));
  }

  function step(by) {
    picture.selectedIndex = (picture.selectedIndex + by + indices.length) % indices.length;
    show();
  }

  for (const list of [picture, left, right]) list.addEventListener("change", show);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  show();
  return {
    /* A picture, with one of its ways on the right side. */
    open(index, label) {
      picture.value = index;
      if (label !== undefined && label !== grey) right.value = label;
      show();
      byId("viewer").scrollIntoView({behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
    },
    focus: slider.focus,
  };
}
