#include <pybind11/pybind11.h>

void bind_assessment(pybind11::module_ &m);
void bind_centroids(pybind11::module_ &m);
void bind_engine(pybind11::module_ &m);
void bind_fusion(pybind11::module_ &m);
void bind_lzf(pybind11::module_ &m);
void bind_points(pybind11::module_ &m);
void bind_truckfile(pybind11::module_ &m);
void bind_weighing(pybind11::module_ &m);

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of volest: what sees points, and what is computed for each load.";
  bind_centroids(m);
  bind_points(m);
  bind_engine(m);
  bind_assessment(m);
  bind_fusion(m);
  bind_lzf(m);
  bind_truckfile(m);
  bind_weighing(m);
}
