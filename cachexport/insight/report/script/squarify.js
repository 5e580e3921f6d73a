// Squarified treemaps (Bruls, Huizing, van Wijk 2000): areas as values, shapes as square as can be.

// Gives a box for each of `values`, largest first, which fill `box` together.
function squarify(values, box) {
  const total = values.reduce((sum, value) => sum + value, 0);
  const scale = (box.width * box.height) / total;
  const areas = values.map((value) => value * scale);
  const boxes = [];
  let free = { ...box };
  for (let start = 0; start < areas.length; ) {
    const side = Math.min(free.width, free.height);
    let end = start + 1;
    let sum = areas[start];
    while (end < areas.length && worst(areas, start, end + 1, sum + areas[end], side) <= worst(areas, start, end, sum, side)) {
      sum += areas[end];
      end += 1;
    }
    free = laidOut(areas, start, end, sum, free, boxes);
    start = end;
  }
  return boxes;
}

// The worst ratio of sides in a row, whose areas from `start` to `end` come to `sum`.
function worst(areas, start, end, sum, side) {
  const square = (sum / side) ** 2;
  return Math.max(areas[start] / square, square / areas[end - 1]);
}

// Puts a row along the shorter side of what is free; gives what is free then.
function laidOut(areas, start, end, sum, free, boxes) {
  const isTall = free.width < free.height;
  const depth = sum / (isTall ? free.width : free.height);
  let along = isTall ? free.x : free.y;
  for (let index = start; index < end; index += 1) {
    const length = areas[index] / depth;
    boxes.push(
      isTall
        ? { x: along, y: free.y, width: length, height: depth }
        : { x: free.x, y: along, width: depth, height: length },
    );
    along += length;
  }
  return isTall
    ? { x: free.x, y: free.y + depth, width: free.width, height: Math.max(free.height - depth, 0) }
    : { x: free.x + depth, y: free.y, width: Math.max(free.width - depth, 0), height: free.height };
}
