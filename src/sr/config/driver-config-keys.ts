/** The keys and what they mean, as sr_get_driver_info shows them. */
export const DEVICE_CONFIG_KEYS = {
  monitors:
    'The Ceph monitors, separated by commas: addresses, [IPv6] or host names, each with an optional port (default 6789)',
  pool: 'The pool that holds the image',
  namespace: 'The RADOS namespace of the image (optional)',
  image: 'The RBD image the SR stands on',
  user: 'The cephx user, without "client." (default admin)',
  password: "The cephx user's key",
  password_secret: "The uuid of a xapi secret that holds the user's key",
  keyring: 'The path of a Ceph keyring file, present on every host, instead of a key',
  size: 'Makes the image with this size if it is absent, for instance 2TiB (optional)',
  data_pool: 'The pool for the data of an image that is made, for instance an erasure-coded one (optional)',
  object_size: 'The size of the objects of an image that is made, a power of two up to 32MiB (default 4MiB)',
  options: 'Kernel map options, for instance queue_depth=256,osd_request_timeout=60 (optional)',
  allocation: 'thick or thin (default thick)',
} as const;
