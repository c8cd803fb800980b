#include "stages/html/page.hpp"

namespace stylescope::html {

// The frames of a strip lie in the page as small pictures, each with its figures as data-*; the
// slider chooses which of them the large picture shows, and everything works by keyboard because
// the slider is an ordinary range input.
const char* const kScript = R"js(
(function () {
  "use strict";
  function start(card) {
    var slider = card.querySelector("input[type=range]");
    var frames = Array.prototype.slice.call(card.querySelectorAll(".frame"));
    var moving = card.querySelector("img.moving");
    var svg = card.querySelector("svg[data-points]");
    var points = !svg ? [] : svg.getAttribute("data-points").split(" ").map(function (p) {
      return p.split(",");
    });
    function text(name, value) { card.querySelector(name).textContent = value; }
    function show() {
      var i = Number(slider.value), frame = frames[i], d = frame.dataset;
      moving.src = frame.querySelector("img").src;
      moving.alt = "Generated image at lambda " + d.sd + " standard deviations";
      text(".now-sd", d.sd);
      text(".now-lambda", d.lambda);
      text(".now-f", d.f);
      text(".now-surrogate", d.surrogate);
      slider.setAttribute("aria-valuetext", d.sd + " standard deviations, classifier says " + d.f);
      frames.forEach(function (f, j) { f.setAttribute("aria-pressed", String(j === i)); });
      if (!points[i]) return;
      var dot = svg.querySelector(".marker-dot"), line = svg.querySelector(".marker-line");
      dot.setAttribute("cx", points[i][0]);
      dot.setAttribute("cy", points[i][1]);
      line.setAttribute("x1", points[i][0]);
      line.setAttribute("x2", points[i][0]);
    }
    slider.addEventListener("input", show);
    frames.forEach(function (frame, j) {
      frame.addEventListener("click", function () { slider.value = String(j); show(); });
    });
    var toggle = card.querySelector(".cam-toggle"), cam = card.querySelector("img.cam");
    function overlay() { cam.hidden = !toggle.checked; }
    toggle.addEventListener("change", overlay);
    overlay();
    show();
  }
  Array.prototype.forEach.call(document.querySelectorAll(".walk"), start);
})();
)js";

}  // namespace stylescope::html
