const data = JSON.parse(document.getElementById("data").textContent);
const treemap = document.getElementById("treemap");
if (treemap && data.treemap.length) drawTreemap(treemap, data.treemap);
for (const holder of document.querySelectorAll("[data-graph]")) {
  const graph = data.graphs[Number(holder.dataset.graph)];
  if (graph && graph.nodes.length) drawGraph(holder, graph);
}
