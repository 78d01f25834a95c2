/* Draws every canvas[data-chart]; the numbers stand in the attribute and, for everyone, in the table beside it. */
(() => {
  "use strict";
  const drawn = [];

  function draw(canvas) {
    const style = getComputedStyle(document.documentElement);
    const probe = (name) => { // resolves light-dark() and color-mix() to a plain color
      canvas.style.color = `var(${name})`;
      return getComputedStyle(canvas).color;
    };
    const { type = "bar", labels, series } = JSON.parse(canvas.dataset.chart);
    const text = probe("--k-muted"), line = probe("--k-line");
    const colors = ["--k-link", "--k-chart-2", "--k-chart-3"].map(probe);
    drawn.push(new Chart(canvas, {
      type,
      data: {
        labels,
        datasets: series.map((one, index) => ({
          label: one.label, data: one.values, backgroundColor: colors[index % 3], borderColor: colors[index % 3],
          type: one.type || type, borderWidth: (one.type || type) === "line" ? 2 : 0, borderRadius: 3, maxBarThickness: 28, pointRadius: 0, tension: 0.3,
        })),
      },
      options: {
        maintainAspectRatio: false,
        animation: false,
        font: { family: style.fontFamily },
        plugins: { legend: { display: series.length > 1, labels: { color: text, boxWidth: 10, boxHeight: 10 } } },
        scales: {
          x: { grid: { display: false }, border: { color: line }, ticks: { color: text } },
          y: { beginAtZero: true, grid: { color: line }, border: { display: false }, ticks: { color: text, precision: 0, maxTicksLimit: 5 } },
        },
      },
    }));
  }

  function drawAll() {
    drawn.splice(0).forEach((chart) => chart.destroy());
    document.querySelectorAll("canvas[data-chart]").forEach(draw);
  }

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  drawAll();
})();
