// What PCL does, for ctypes: a shared library with C names. A cloud is made once and used by many calls.
#include <pcl/features/normal_3d.h>
#include <pcl/filters/statistical_outlier_removal.h>
#include <pcl/filters/voxel_grid.h>
#include <pcl/point_cloud.h>
#include <pcl/point_types.h>
#include <pcl/registration/icp.h>

#include <cstring>

using Point = pcl::PointXYZ;
using Oriented = pcl::PointNormal;
using Cloud = pcl::PointCloud<Point>;
using OrientedCloud = pcl::PointCloud<Oriented>;

namespace {

const Cloud::Ptr &cloud_of(void *held) { return *static_cast<Cloud::Ptr *>(held); }
const OrientedCloud::Ptr &oriented_of(void *held) { return *static_cast<OrientedCloud::Ptr *>(held); }

std::int64_t write(const Cloud &cloud, float *xyz) {
  for (const Point &p : cloud) {
    std::memcpy(xyz, p.data, 3 * sizeof(float));
    xyz += 3;
  }
  return static_cast<std::int64_t>(cloud.size());
}

}  // namespace

extern "C" {

const char *pcl_version() { return PCL_VERSION_PRETTY; }

void *pcl_cloud(const float *xyz, std::int64_t count) {
  Cloud::Ptr cloud(new Cloud);
  for (std::int64_t i = 0; i < count; ++i, xyz += 3) cloud->push_back({xyz[0], xyz[1], xyz[2]});
  return new Cloud::Ptr(cloud);
}

// Rows of x y z and of the normal's x y z.
void *pcl_oriented_cloud(const float *rows, std::int64_t count) {
  OrientedCloud::Ptr cloud(new OrientedCloud);
  for (std::int64_t i = 0; i < count; ++i, rows += 6) {
    Oriented p;
    std::memcpy(p.data, rows, 3 * sizeof(float));
    std::memcpy(p.normal, rows + 3, 3 * sizeof(float));
    cloud->push_back(p);
  }
  return new OrientedCloud::Ptr(cloud);
}

std::int64_t pcl_voxel_grid(void *cloud, float size_m, float *out) {
  pcl::VoxelGrid<Point> grid;
  grid.setInputCloud(cloud_of(cloud));
  grid.setLeafSize(size_m, size_m, size_m);
  Cloud thin;
  grid.filter(thin);
  return write(thin, out);
}

std::int64_t pcl_outliers_removed(void *cloud, int neighbours, double sigmas, float *out) {
  pcl::StatisticalOutlierRemoval<Point> removal;
  removal.setInputCloud(cloud_of(cloud));
  removal.setMeanK(neighbours);
  removal.setStddevMulThresh(sigmas);
  Cloud clean;
  removal.filter(clean);
  return write(clean, out);
}

// Point to plane, from the pose in `pose` (column-major), which it replaces.
void pcl_icp(void *source, void *target, double reach_m, int iterations, float *pose) {
  OrientedCloud::Ptr moving(new OrientedCloud);
  pcl::copyPointCloud(*cloud_of(source), *moving);
  pcl::IterativeClosestPointWithNormals<Oriented, Oriented> icp;
  icp.setInputSource(moving);
  icp.setInputTarget(oriented_of(target));
  icp.setMaxCorrespondenceDistance(reach_m);
  icp.setMaximumIterations(iterations);
  OrientedCloud moved;
  icp.align(moved, Eigen::Map<const Eigen::Matrix4f>(pose));
  Eigen::Map<Eigen::Matrix4f>(pose, 4, 4) = icp.getFinalTransformation();
}
}
