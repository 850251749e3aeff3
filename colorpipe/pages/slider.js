"use strict";
const byId = (id) => document.getElementById(id);

/* Two pictures over each other, with a line between them that is moved: the markup of slider.html.
 * show(left, right): each {src, alt, word, instead}; `instead` is shown where `src` cannot be. */
function makeSlider() {
  const [box, slider] = ["compare", "slider"].map(byId);
  let words = ["", ""];

  function move() {
    box.style.setProperty("--at", slider.value + "%");
    slider.setAttribute("aria-valuetext", slider.value + " per cent " + words[0] + ", the rest " + words[1]);
  }

  // As wide as the page, but never higher than the window.
  byId("under").addEventListener("load", (event) => {
    const {naturalWidth: width, naturalHeight: height} = event.target;
    box.style.aspectRatio = width + " / " + height;
    box.style.width = "min(100%, calc(70vh * " + (width / height).toFixed(4) + "))";
    for (const image of box.querySelectorAll("img")) image.classList.toggle("coarse", Math.max(width, height) < 160);
  });
  for (const id of ["under", "over"]) {
    byId(id).addEventListener("error", (event) => {
      const {instead} = event.target.dataset;
      if (!instead) return;
      delete event.target.dataset.instead;
      event.target.src = instead;
    });
  }
  slider.addEventListener("input", move);
  return {
    show(...sides) {
      words = sides.map((side) => side.word);
      sides.forEach((side, number) => {
        const image = byId(["under", "over"][number]);
        byId(["left-chip", "right-chip"][number]).textContent = side.word;
        if (side.instead) image.dataset.instead = side.instead;
        else delete image.dataset.instead;
        image.src = side.src;
        image.alt = side.alt;
      });
      move();
    },
    focus: () => slider.focus({preventScroll: true}),
  };
}
