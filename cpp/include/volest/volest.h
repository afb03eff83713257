/* volest: how much is in a truck bed, from lidar and weight. C99; the same numbers as the Python API.
 *
 * A truck is commissioned once (`volest commission`), which gives the file truck.volest. Its bytes, the blob,
 * are all that is known of bed, sensors, scale and waste. A handle estimates one load after the other:
 *
 *     volest_required_bytes(blob, blob_bytes, NULL, &bytes);          how much memory a handle takes
 *     volest_create(memory, bytes, blob, blob_bytes, NULL, &handle);  once
 *     volest_clear(handle);                                           a load begins
 *     volest_add_scan(handle, sensor, &cloud);                        whole scans, or
 *     volest_scan_begin(handle, sensor);                              scans that come in packets
 *     volest_add_xyz(handle, points, count, stride_bytes);
 *     volest_scan_end(handle);
 *     volest_set_gross(handle, kg, 0.0);                              what the scale reads
 *     volest_estimate(handle, &result);                               at any time
 *
 * Memory: all of it is the caller's. No call allocates, throws, reads or writes a file, looks at a clock or a
 *   locale, or keeps anything outside of the handle's memory. The blob and the handle's memory must stay where
 * they are, unchanged by others, while the handle is in use; then both are simply let go, there is nothing to
 * close. Stack: at most VOLEST_STACK_BYTES below any call. Threads: one handle is for one thread at a time.
 * Handles share nothing but the blob, which is only read. Time: bounded by the points and the grid, whatever
 * the numbers in them; docs/c.md has what was measured. Frames: the sensor's own, or the bed's where the truck
 * has no sensors: x to the cab, y to the left, z up. Units: metres, kilograms, unless a name tells another.
 * Results have no NaN: what is not known is not in `has`. Errors: every call gives VOLEST_OK or why not, and
 * then nothing was changed. Bad scans are no errors: what is in them is told by status and flags of the result.
 * Numbers of errors, flags and formats never change meaning. Structs begin with their size, to be set by the
 * caller to sizeof the struct: later versions may add fields at the end, and go on taking the size of today. */
#ifndef VOLEST_VOLEST_H
#define VOLEST_VOLEST_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define VOLEST_API
#else
#define VOLEST_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define VOLEST_ALIGNMENT 64         /* of a handle's memory, bytes */
#define VOLEST_BLOB_ALIGNMENT 8     /* of a truck.volest in memory, bytes */
#define VOLEST_STACK_BYTES 32768    /* the most that any call takes of the stack */
#define VOLEST_MOST_WEIGHTS 2048    /* readings of the scale that are kept */
#define VOLEST_MOST_SCANS 64        /* of one load */
#define VOLEST_MOST_POINTS 16777215 /* of one load, with and without return */

typedef enum volest_status {
  VOLEST_OK = 0,
  VOLEST_ERROR_NULL = 1, /* a pointer is NULL that must not be */
  VOLEST_ERROR_ALIGNMENT =
      2,                   /* memory, blob, ranges or directions do not lie on a multiple of what they must */
  VOLEST_ERROR_MEMORY = 3, /* fewer bytes than volest_required_bytes asks for */
  VOLEST_ERROR_STRUCT = 4, /* a struct's size is of no version, or it sets what this version does not know */
  VOLEST_ERROR_HANDLE = 5, /* no handle, or one that was copied or overwritten */
  VOLEST_ERROR_SENSOR = 6, /* the truck has no such sensor */
  VOLEST_ERROR_FORMAT = 7, /* no such format of points */
  VOLEST_ERROR_STRIDE = 8, /* too small for a point, or above 65535 bytes */
  VOLEST_ERROR_VALUE = 9,  /* a number is not finite, or outside of its range */
  VOLEST_ERROR_ORDER = 10, /* a scan in packets has been begun, or has not */
  VOLEST_ERROR_TOO_MANY = 11, /* more scans or points than one load may have */
  VOLEST_ERROR_SCALE = 12,    /* the truck.volest tells of no scale */
  /* The blob; volest_check_truck tells the place. */
  VOLEST_ERROR_BLOB_ALIGNMENT = 101,
  VOLEST_ERROR_BLOB_SHORT = 102,   /* shorter than a header */
  VOLEST_ERROR_BLOB_MAGIC = 103,   /* no truck.volest, or one that went through a text-mode copy */
  VOLEST_ERROR_BLOB_VERSION = 104, /* of a format that this version does not know */
  VOLEST_ERROR_BLOB_SIZE = 105,    /* cut off, or above 64 MiB */
  VOLEST_ERROR_BLOB_CHECKSUM = 106,
  VOLEST_ERROR_BLOB_TABLE = 107,     /* a section lies outside of the file */
  VOLEST_ERROR_BLOB_DUPLICATE = 108, /* a section comes twice */
  VOLEST_ERROR_BLOB_MISSING = 109,   /* a section is not there */
  VOLEST_ERROR_BLOB_LENGTH = 110,    /* a section has another length than its contents have */
  VOLEST_ERROR_BLOB_VALUE = 111      /* a number is not finite, or outside of its range */
} volest_status;

typedef enum volest_load_status {
  VOLEST_LOAD_OK = 0,
  VOLEST_LOAD_DEGRADED = 1, /* an estimate with a wider interval; flags say why */
  VOLEST_LOAD_REJECTED = 2  /* no estimate; flags say why */
} volest_load_status;

typedef enum volest_flag {
  VOLEST_FLAG_OCCLUDED = 1 << 0,     /* most of the bed lies out of sight */
  VOLEST_FLAG_SPARSE = 1 << 1,       /* few returns for the size of the bed */
  VOLEST_FLAG_SENSOR_MOVED = 1 << 2, /* a sensor is not where commissioning found it */
  VOLEST_FLAG_OVERHANG = 1 << 3,     /* load hangs over the walls; it is not in the volume */
  VOLEST_FLAG_EMPTY = 1 << 4,        /* nothing but the bed */
  VOLEST_FLAG_CARRY_BACK = 1 << 5,   /* a rest that stayed after tipping */
  VOLEST_FLAG_UNFAMILIAR = 1 << 6,   /* beyond what was learned from; the interval is wider */
  VOLEST_FLAG_DUST = 1 << 7,         /* many returns hang in the air */
  VOLEST_FLAG_TARP = 1 << 8,         /* a sheet lies over the bed */
  VOLEST_FLAG_DIRTY_WINDOW = 1 << 9, /* a part of a sensor's view is blind */
  VOLEST_FLAG_LOAD_MOVED = 1 << 10,  /* the load changed between scans of one sensor */
  VOLEST_FLAG_NO_POINTS = 1 << 11,   /* no return, or none from inside the bed */
  VOLEST_FLAG_NO_BED = 1 << 12,      /* the bed is not in the scan */
  VOLEST_FLAG_WRONG_UNIT = 1 << 13,  /* coordinates are not in metres */
  VOLEST_FLAG_UPSIDE_DOWN = 1 << 14, /* a sensor is turned over */
  VOLEST_FLAG_WRONG_TRUCK = 1 << 15, /* the bed is larger than this truck's */
  VOLEST_FLAG_WEIGHT_MISSING = 1 << 16,
  VOLEST_FLAG_WEIGHT_UNSTABLE = 1 << 17,
  VOLEST_FLAG_WEIGHT_VOLUME_MISMATCH = 1 << 18 /* no waste has this mass in this volume */
} volest_flag;

/* What was left out because the points were gone, which takes a second look at them: scans in packets only. */
typedef enum volest_unchecked {
  VOLEST_UNCHECKED_SENSOR = 1 << 0,  /* whether a sensor was knocked or turned over, or the unit is another: the
                                        bed is in doubt, and was not looked for elsewhere */
  VOLEST_UNCHECKED_SURFACE = 1 << 1, /* cells with returns of several surfaces: their heights are coarser */
  VOLEST_UNCHECKED_WINDOW = 1 << 2,  /* whether a part of a sensor's view is blind */
  /* Also of whole scans: */
  VOLEST_UNCHECKED_CHANGE = 1 << 3 /* whether the load changed between several scans of one sensor */
} volest_unchecked;

typedef enum volest_has {
  VOLEST_HAS_VOLUME = 1 << 0, /* volume, budget, fill, seen and rejected fractions, struck and heaped volume */
  VOLEST_HAS_CENTROID = 1 << 1,
  VOLEST_HAS_MASS = 1 << 2,
  VOLEST_HAS_DENSITY = 1 << 3,
  VOLEST_HAS_WETNESS = 1 << 4 /* wet fraction and probabilities; waste_class may still be undecided */
} volest_has;

/* Why the mass of a series of readings is not to be trusted. */
typedef enum volest_weight_reason {
  VOLEST_WEIGHT_MISSING = 1 << 0,   /* no reading could be used */
  VOLEST_WEIGHT_MOVING = 1 << 1,    /* the truck moved in all of them */
  VOLEST_WEIGHT_DRIFTS = 1 << 2,    /* the level drifts or jumps */
  VOLEST_WEIGHT_LOST = 1 << 3,      /* fewer than half of those at rest could be used */
  VOLEST_WEIGHT_STUCK = 1 << 4,     /* it stood still as no truck does */
  VOLEST_WEIGHT_SATURATED = 1 << 5, /* it was cut off at full scale */
  VOLEST_WEIGHT_SHORT = 1 << 6,     /* shorter than a bounce of the truck */
  VOLEST_WEIGHT_CLOCK = 1 << 7,     /* the clock went back */
  VOLEST_WEIGHT_SWINGS = 1 << 8,    /* it swings as that of no truck at rest */
  VOLEST_WEIGHT_WIDE = 1 << 9       /* unsure by more than 1 % */
} volest_weight_reason;

typedef enum volest_waste_class {
  VOLEST_WASTE_UNDECIDED = 0,
  VOLEST_WASTE_DRY = 1, /* wet mass fraction up to 0.4 */
  VOLEST_WASTE_MIXED = 2,
  VOLEST_WASTE_WET = 3 /* from 0.6 on */
} volest_waste_class;

typedef enum volest_format {
  VOLEST_XYZ_F32 = 1,    /* x y z, float, m; NaN or 0 0 0: no return */
  VOLEST_XYZ_MM_I16 = 2, /* x y z, int16_t, mm; 0 0 0: no return */
  VOLEST_RANGE_U16 = 3,  /* a range a ray, uint16_t, mm; 0: no return */
  VOLEST_RANGE_U32 = 4,
  VOLEST_RANGE_F32 = 5 /* a range a ray, float, mm; 0 or NaN: no return */
} volest_format;

/* Which instructions: all give the same bits. */
typedef enum volest_instructions {
  VOLEST_BEST = 0, /* the fastest that this machine has */
  VOLEST_PORTABLE = 1,
  VOLEST_AVX2 = 2,
  VOLEST_AVX512 = 3,
  VOLEST_NEON = 4
} volest_instructions;

typedef struct volest_handle volest_handle;

typedef struct volest_options {
  uint32_t size;          /* sizeof(volest_options) */
  uint32_t believe_poses; /* 1: does not look for the bed in the scans; 0 */
  uint32_t keep_membrane; /* 1: leaves what is hidden as the membrane has it; 0 */
  uint32_t instructions;  /* volest_instructions */
} volest_options;

/* A whole scan in memory of the caller's. */
typedef struct volest_cloud {
  uint32_t size;      /* sizeof(volest_cloud) */
  uint32_t format;    /* volest_format */
  const void *points; /* the first of them; points may lie anywhere, ranges on a multiple of their size */
  uint64_t count;
  uint64_t stride_bytes;   /* from one point to the next; of ranges 0, they lie side by side */
  const float *directions; /* of ranges: 3 floats a ray, unit vectors in the sensor's frame; of points NULL */
} volest_cloud;

typedef struct volest_quantity {
  double value, std, lower95, upper95; /* standard uncertainty, and the 95 % interval */
} volest_quantity;

/* Standard uncertainty of the volume by source, m3; they are independent. */
typedef struct volest_budget {
  double hidden;    /* what lies in shadow */
  double pose;      /* where each scan was taken from */
  double reference; /* the empty bed */
  double range;     /* what a sensor's constant error leaves */
  double surface;   /* the scatter of the returns and what lies between them */
} volest_budget;

typedef struct volest_result {
  uint32_t size;           /* sizeof(volest_result) */
  uint32_t status;         /* volest_load_status */
  uint32_t flags;          /* of volest_flag */
  uint32_t unchecked;      /* of volest_unchecked */
  uint32_t has;            /* of volest_has; what is not in it is 0 */
  uint32_t waste_class;    /* volest_waste_class */
  uint32_t weight_reasons; /* of volest_weight_reason */
  uint32_t reserved;       /* 0 */
  volest_quantity volume_m3;
  volest_quantity net_mass_kg;
  volest_quantity bulk_density_kg_m3;
  volest_quantity wet_mass_fraction;
  volest_budget volume_budget_m3;
  double probability_dry, probability_mixed, probability_wet;
  double struck_capacity_m3; /* of the empty bed up to the wall tops */
  double heaped_volume_m3;   /* above the plane of the wall tops */
  double fill_ratio;         /* volume over struck capacity */
  double seen_fraction;      /* part of the bed's footprint in sight */
  double rejected_fraction;  /* part of the returns over the bed that are of no surface: dust, rain */
  double centroid_m[3];      /* of the load, bed frame */
} volest_result;

/* Where a blob is wrong. */
typedef struct volest_fault {
  uint32_t size;   /* sizeof(volest_fault) */
  char section[8]; /* "SENS", say; "" in the header */
  uint64_t byte;
} volest_fault;

/* --- without a handle
 * ------------------------------------------------------------------------------------------- */

/* The version of the library, as the build tells it; "unknown" where it does not. */
VOLEST_API const char *volest_version(void);

/* What a status means, in a few English words; of no status "unknown". Never NULL. */
VOLEST_API const char *volest_status_text(int status);

/* The name of one flag, "sensor_moved", as results of the Python API have it; of no flag "unknown". Never NULL.
 */
VOLEST_API const char *volest_flag_name(uint32_t flag);

/* Checks every number of a blob. `fault` may be NULL; else it tells where, unless the blob is sound. */
VOLEST_API volest_status volest_check_truck(const void *blob, size_t blob_bytes, volest_fault *fault);

/* How much memory a handle for this truck takes; it grows with the cells of the bed. `options` may be NULL, for
 * 0 everywhere. */
VOLEST_API volest_status volest_required_bytes(const void *blob, size_t blob_bytes,
                                               const volest_options *options, size_t *bytes);

/* --- the handle
 * ------------------------------------------------------------------------------------------------- */

/* Makes a handle in `memory`: `bytes` of it on a multiple of VOLEST_ALIGNMENT. The blob is looked at where it
 * lies. */
VOLEST_API volest_status volest_create(void *memory, size_t bytes, const void *blob, size_t blob_bytes,
                                       const volest_options *options, volest_handle **handle);

/* How many sensors the truck has; with 0 its scans are in the bed frame, and their sensor is 0. */
VOLEST_API volest_status volest_sensor_count(const volest_handle *handle, uint32_t *count);

/* The number of the sensor with this id; VOLEST_ERROR_SENSOR if there is none. */
VOLEST_API volest_status volest_find_sensor(const volest_handle *handle, const char *id, uint32_t *sensor);

/* --- one load
 * --------------------------------------------------------------------------------------------------- */

/* Forgets scans, packets and weights: the next load begins. */
VOLEST_API volest_status volest_clear(volest_handle *handle);

/* Adds a whole scan, and finds the bed in it; several sensors and several scans of one are put together. Points
 * and directions must stay unchanged until the last estimate of this load: it may look at them again. The same
 * scan twice says nothing new and is left out. A scan without a single return is no error. */
VOLEST_API volest_status volest_add_scan(volest_handle *handle, uint32_t sensor, const volest_cloud *cloud);

/* A scan in packets: begun, added part by part, ended. The packets' memory is free after each call, and of
 * their points as many stay as there is room for, so that a second look at them is not always possible: the
 * result's `unchecked` tells. Where none was due, the numbers are those of volest_add_scan with the same
 * points, to the bit. One scan is open at a time; it is in no estimate before it has ended. */
VOLEST_API volest_status volest_scan_begin(volest_handle *handle, uint32_t sensor);
VOLEST_API volest_status volest_scan_end(volest_handle *handle);

/* Points [m] of the open scan, x y z side by side, `stride_bytes` (at least 12) from one to the next. */
VOLEST_API volest_status volest_add_xyz(volest_handle *handle, const float *points, size_t count,
                                        size_t stride_bytes);
/* The same in mm; stride at least 6. */
VOLEST_API volest_status volest_add_xyz_mm(volest_handle *handle, const int16_t *points, size_t count,
                                           size_t stride_bytes);
/* Ranges [mm] along rays of the open scan: a row of a range image, say, with the row of its directions [3 *
 * count]. */
VOLEST_API volest_status volest_add_ranges_u16(volest_handle *handle, const uint16_t *ranges,
                                               const float *directions, size_t count);
VOLEST_API volest_status volest_add_ranges_u32(volest_handle *handle, const uint32_t *ranges,
                                               const float *directions, size_t count);
VOLEST_API volest_status volest_add_ranges_f32(volest_handle *handle, const float *ranges,
                                               const float *directions, size_t count);

/* The gross mass, above 0 and below 200,000 kg, with the standard uncertainty of the reading; 0: a single
 * reading, rounded to the scale's resolution. Takes the place of what was set before. */
VOLEST_API volest_status volest_set_gross(volest_handle *handle, double kg, double std_kg);

/* One reading of the gross mass, kg, at a time, s, of any clock that does not go back; `moving`: 1 while the
 * truck moves, which leaves the reading out, else 0. What is no mass (NaN, 0, 200,000 kg and more) is a
 * dropout. The last VOLEST_MOST_WEIGHTS of the load count: 200 s at 10 Hz. Takes the place of volest_set_gross,
 * and that of these. */
VOLEST_API volest_status volest_add_weight(volest_handle *handle, double time_s, double kg, uint32_t moving);

/* The load as far as it is known: all scans that have ended, and the weight. May be asked for again and again.
 */
VOLEST_API volest_status volest_estimate(volest_handle *handle, volest_result *result);

#ifdef __cplusplus
}
#endif

#endif
