/** What a frame of messenger v2 is (ceph `src/msg/async/frames_v2.h`, Tag). */
export const FRAME_TAG = {
  hello: 1,
  authRequest: 2,
  authBadMethod: 3,
  authReplyMore: 4,
  authRequestMore: 5,
  authDone: 6,
  authSignature: 7,
  clientIdent: 8,
  serverIdent: 9,
  identMissingFeatures: 10,
  message: 17,
  keepAlive: 18,
  keepAliveAnswer: 19,
  acknowledgement: 20,
} as const;
