# volest::volest is the static library, volest::volest_shared the shared one.
include(${CMAKE_CURRENT_LIST_DIR}/volestTargets.cmake)
