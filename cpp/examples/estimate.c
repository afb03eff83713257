/* Estimates one load: estimate truck.volest SENSOR points.f32 [gross_kg]
 * points.f32 holds x y z of each point as floats in metres, in the sensor's frame. */
#include <stdio.h>
#include <stdlib.h>
#include <volest/volest.h>

#define PACKET 1024 /* points */

/* The bytes of a file on a multiple of 64, or NULL. A device would have them in flash. */
static void *read_file(const char *path, size_t *bytes) {
  void *data = NULL;
  FILE *file = fopen(path, "rb");
  long end = 0;
  if (file == NULL) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
    *bytes = (size_t)end;
    data = malloc(*bytes); /* malloc aligns to 16 */
    if (data != NULL && fread(data, 1, *bytes, file) != *bytes) {
      free(data);
      data = NULL;
    }
  }
  fclose(file);
  return data;
}

static int fail(const char *what, volest_status status) {
  fprintf(stderr, "%s: %s\n", what, volest_status_text((int)status));
  return 1;
}

static void print(const volest_result *r) {
  unsigned k;
  if (r->has & VOLEST_HAS_VOLUME) printf("volume_m3 %.17g %.17g\n", r->volume_m3.value, r->volume_m3.std);
  if (r->has & VOLEST_HAS_DENSITY)
    printf("bulk_density_kg_m3 %.17g %.17g\n", r->bulk_density_kg_m3.value, r->bulk_density_kg_m3.std);
  for (k = 0; k < 32; ++k)
    if (r->flags >> k & 1u) printf("flag %s\n", volest_flag_name((uint32_t)1 << k));
  if (r->unchecked) printf("unchecked %u\n", (unsigned)r->unchecked);
}

int main(int argc, char **argv) {
  size_t blob_bytes = 0, scan_bytes = 0, bytes = 0, at, count;
  void *blob, *memory;
  float *points;
  uint32_t sensor = 0;
  volest_handle *handle = NULL;
  volest_result result = {0};
  volest_status status;
  if (argc < 4) return fail("estimate truck.volest SENSOR points.f32 [gross_kg]", VOLEST_ERROR_NULL);
  blob = read_file(argv[1], &blob_bytes);
  points = read_file(argv[3], &scan_bytes);
  if (blob == NULL || points == NULL) return fail("a file", VOLEST_ERROR_NULL);

  /* Once: all the memory that will ever be used. */
  if ((status = volest_required_bytes(blob, blob_bytes, NULL, &bytes)) != VOLEST_OK)
    return fail(argv[1], status);
  memory = malloc(bytes + VOLEST_ALIGNMENT);
  if (memory == NULL) return fail("memory", VOLEST_ERROR_NULL);
  at = (size_t)((uintptr_t)memory % VOLEST_ALIGNMENT);
  status = volest_create((char *)memory + (VOLEST_ALIGNMENT - at), bytes, blob, blob_bytes, NULL, &handle);
  if (status != VOLEST_OK) return fail("create", status);
  if ((status = volest_find_sensor(handle, argv[2], &sensor)) != VOLEST_OK) return fail(argv[2], status);

  /* Each load: packets as they come from the sensor. */
  count = scan_bytes / (3 * sizeof(float));
  status = volest_scan_begin(handle, sensor);
  for (at = 0; at < count && status == VOLEST_OK; at += PACKET)
    status =
        volest_add_xyz(handle, points + 3 * at, count - at < PACKET ? count - at : PACKET, 3 * sizeof(float));
  if (status == VOLEST_OK) status = volest_scan_end(handle);
  if (status == VOLEST_OK && argc > 4) status = volest_set_gross(handle, atof(argv[4]), 0.0);
  result.size = sizeof result;
  if (status == VOLEST_OK) status = volest_estimate(handle, &result);
  if (status != VOLEST_OK) return fail("estimate", status);
  print(&result);
  free(memory);
  free(points);
  free(blob);
  return result.status == VOLEST_LOAD_REJECTED ? 3 : 0;
}
