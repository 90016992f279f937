// Draws every chart of the page from the figures that stand in it.
document.addEventListener("DOMContentLoaded", () => {
  const charts = [...document.querySelectorAll("[data-chart]")].map((place) => {
    const { periods, series } = JSON.parse(place.dataset.chart);
    const chart = echarts.init(place, null, { renderer: "svg" });
    chart.setOption({
      animation: false,
      color: ["#0f766e", "#b45309", "#1d4ed8", "#9d174d", "#4d7c0f"],
      grid: { left: 48, right: 16, top: series.length > 1 ? 40 : 16, bottom: 32 },
      legend: series.length > 1 ? { top: 0, type: "scroll" } : undefined,
      tooltip: { trigger: "axis", valueFormatter: (v) => (v == null ? "–" : (v * 100).toFixed(1) + " %") },
      xAxis: { type: "category", data: periods, axisTick: { show: false } },
      yAxis: { type: "value", min: 0, max: 1, axisLabel: { formatter: (v) => Math.round(v * 100) + " %" } },
      series: series.map((each) => ({ name: each.name, type: "line", smooth: 0.2, symbolSize: 7, areaStyle: { opacity: series.length > 1 ? 0 : 0.08 }, data: each.values })),
    });
    return chart;
  });
  addEventListener("resize", () => charts.forEach((chart) => chart.resize()));
});
