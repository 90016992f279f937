// Draws every chart of the page from the figures that stand in it.
document.addEventListener("DOMContentLoaded", () => {
  const zh = document.documentElement.lang.startsWith("zh");
  const font = getComputedStyle(document.body).fontFamily;
  const charts = [...document.querySelectorAll("[data-chart]")].map((place) => {
    const { periods, series, unit } = JSON.parse(place.dataset.chart);
    const isShare = unit === "ratio";
    const written = (value, digits) => value == null ? "–" : isShare ? (value * 100).toFixed(digits) + "%" : String(value);
    const chart = echarts.init(place, null, { renderer: "svg", locale: zh ? "ZH" : "EN" });
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: font },
      color: ["#0f766e", "#b45309", "#1d4ed8", "#9d174d", "#4d7c0f", "#6d28d9"],
      grid: { left: 8, right: 24, top: series.length > 1 ? 44 : 20, bottom: 8, containLabel: true },
      legend: series.length > 1 ? { top: 4, left: 0, type: "scroll", icon: "circle", itemWidth: 10, itemHeight: 10 } : undefined,
      tooltip: { trigger: "axis", confine: true, valueFormatter: (value) => written(value, 2) },
      xAxis: { type: "category", boundaryGap: periods.length === 1, data: periods, axisTick: { show: false }, axisLine: { lineStyle: { color: "#c5d1ce" } }, axisLabel: { color: "#5d6f6d" } },
      yAxis: { type: "value", min: isShare ? 0 : undefined, max: isShare ? 1 : undefined, splitLine: { lineStyle: { color: "#e8eeec" } }, axisLabel: { color: "#5d6f6d", formatter: (value) => written(value, 0) } },
      series: series.map((each) => ({
        name: each.name, type: "line", data: each.values, symbol: "circle", symbolSize: 7, lineStyle: { width: 2 },
        areaStyle: { opacity: series.length > 1 ? 0 : 0.08 },
      })),
    });
    return chart;
  });
  addEventListener("resize", () => charts.forEach((chart) => chart.resize()));
});
